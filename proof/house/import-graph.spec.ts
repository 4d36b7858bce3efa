import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  arrowsOf,
  circlesOf,
  floorsOf,
  foldersOf,
  type ImportGraph,
  importsOfLib,
  singlyImported,
} from './import-graph.js';

function graph(imports: Record<string, string[]>): ImportGraph {
  return new Map(Object.entries(imports).map(([name, names]) => [name, new Set(names)]));
}

const TOWER = graph({ top: ['middle', 'ground'], middle: ['ground'], ground: [] });
const CIRCLE = graph({ top: ['left'], left: ['right'], right: ['left', 'ground'], ground: [] });

describe('when imports only run down', () => {
  it('counts the floors of the longest chain', () => {
    expect(floorsOf(TOWER)).toBe(3);
  });

  it('finds no circle', () => {
    expect(circlesOf(TOWER)).toEqual([]);
  });

  it('finds the names that one other imports, and not those that two import', () => {
    expect(singlyImported(TOWER)).toEqual(['middle']);
  });
});

describe('when imports run in a circle', () => {
  it('names those in the circle, and not those above or below it', () => {
    expect(circlesOf(CIRCLE)).toEqual([['left', 'right']]);
  });

  it('counts the circle as one floor', () => {
    expect(floorsOf(CIRCLE)).toBe(3);
  });
});

describe('when files are taken together by folder', () => {
  it('counts an arrow between two folders once, and none within a folder', () => {
    const files = graph({ 'a/one.ts': ['a/two.ts', 'b/x.ts'], 'a/two.ts': ['b/y.ts'] });
    expect(arrowsOf(foldersOf(files))).toBe(1);
  });
});

describe('when the imports of a checkout are read', () => {
  let root: string;

  afterEach(() => rmSync(root, { recursive: true }));

  function checkout(files: Record<string, string>): string {
    root = mkdtempSync(join(tmpdir(), 'house-'));
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
    return root;
  }

  it('counts an import of a type as an import', async () => {
    const { files } = await importsOfLib(
      checkout({
        'lib/nest/term.ts': 'export interface Term { number: number }',
        'lib/nest/service.ts': "import type { Term } from './term.js';\nexport let term: Term;",
      }),
    );
    expect(files).toEqual(
      graph({ 'lib/nest/service.ts': ['lib/nest/term.ts'], 'lib/nest/term.ts': [] }),
    );
  });

  it('names an arrow that the map in CONTRIBUTING.md does not allow', async () => {
    const { againstTheMap } = await importsOfLib(
      checkout({
        'lib/core/state.ts': "export { clock } from '../elector/clock.js';",
        'lib/elector/clock.ts': 'export const clock = 1;',
      }),
    );
    expect(againstTheMap).toEqual(['lib/core → lib/elector']);
  });
});
