import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { KUBERNETES_MINORS } from '../../proof/control-plane/go-build.js';
import { NESTS, NODES, TYPESCRIPTS } from '../../proof/matrix/axes.js';
import { sources } from './pages.js';

const page = readFileSync('docs/support.md', 'utf8');
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly engines: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
};

/** The rows of the table of a page below this head, as text without marks of code. */
function rowsOf(text: string, ...head: string[]): string[][] {
  const lines = text.split('\n').map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.replaceAll('`', '').replaceAll('\\|', '|').trim()),
  );
  const start = lines.findIndex((cells) => head.every((cell, at) => cells[at] === cell));
  expect(start).toBeGreaterThan(0);
  const rows = lines.slice(start + 2);
  return rows.slice(
    0,
    rows.findIndex((cells) => cells.length === 0),
  );
}

describe('when docs/support.md says what is supported', () => {
  it('names every entry of the package', () => {
    const entries = Object.keys(manifest.exports)
      .filter((path) => !path.endsWith('.json'))
      .map((path) => path.replace('.', manifest.name));
    expect(rowsOf(page, 'entry').map(([entry]) => entry)).toEqual(entries);
  });

  it('has the ranges of package.json, and says of each optional peer what needs it', () => {
    const { peerDependencies, peerDependenciesMeta, engines } = manifest;
    const rows = rowsOf(page, 'package', 'range', 'needed for');
    const ranges = Object.fromEntries(rows.map(([name, range]) => [name, range]));
    expect(ranges).toEqual({ ...peerDependencies, 'Node.js': engines['node'] });
    const optional = rows.filter(([, , use]) => use !== '').map(([name]) => name!);
    expect(optional.toSorted()).toEqual(Object.keys(peerDependenciesMeta).toSorted());
  });

  it('says the versions that the tests have', () => {
    const rows = rowsOf(page, 'what', 'tested with').map(([what, versions]) => [what, versions]);
    expect(Object.fromEntries(rows)).toEqual({
      'Node.js': NODES.map((version) => version.split('.')[0]).join(', '),
      NestJS: Object.keys(NESTS).join(', '),
      TypeScript: Object.keys(TYPESCRIPTS).join(', '),
      Kubernetes: KUBERNETES_MINORS.join(', '),
    });
  });

  it('tests the oldest Node.js and the majors of NestJS that package.json allows', () => {
    expect(manifest.engines['node']).toBe(`>=${NODES[0]!}`);
    const majors = Object.keys(NESTS).map((major) => `^${major}.0.0`);
    expect(manifest.peerDependencies['@nestjs/core']).toBe(majors.join(' || '));
  });

  it('names every annotation that the library writes', () => {
    const written = sources('lib').flatMap(({ text }) => [
      ...text.matchAll(/_ANNOTATION = '(nestjs-leader-election\/[\w-]+)'/g),
    ]);
    const [, section] = /^## What is in a cluster$([\s\S]*?)^## /m.exec(page)!;
    const named = section!.matchAll(/`(nestjs-leader-election\/[\w-]+)`/g);
    expect([...named].map(([, name]) => name!).toSorted()).toEqual(
      written.map(([, name]) => name!).toSorted(),
    );
  });
});

describe('when SECURITY.md says which versions get fixes', () => {
  it('names the minor version of package.json first', () => {
    const minor = manifest.version.split('.').slice(0, 2).join('.');
    const rows = rowsOf(readFileSync('SECURITY.md', 'utf8'), 'version', 'fixes');
    expect(rows[0]).toEqual([`${minor}.x`, 'yes']);
  });
});
