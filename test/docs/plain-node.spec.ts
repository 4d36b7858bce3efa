import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const PAGE = readFileSync('docs/plain-node.md', 'utf8');
const EXAMPLES = [...PAGE.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!);
const ROOT = process.cwd();

/** What the examples leave to the reader. */
const READERS_OWN = `
declare function consumeQueue(options: { signal: AbortSignal; fence: bigint }): Promise<void>;
declare function writeReport(date: Date, signal: AbortSignal | undefined): Promise<void>;
`;

/** What the compiler says of each example, in a folder where it finds the packages of this repository. */
function faultsOf(examples: readonly string[]): string[] {
  const folder = mkdtempSync(join(ROOT, 'test', 'docs', '.plain-node-'));
  try {
    const files = examples.map((code, index) => {
      const file = join(folder, `example-${index}.mts`);
      writeFileSync(file, READERS_OWN + code);
      return file;
    });
    const { config } = ts.readConfigFile('tsconfig.json', (file) => ts.sys.readFile(file));
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
    const entry = join(ROOT, 'lib', 'election', 'index.ts');
    const program = ts.createProgram(files, {
      ...options,
      noEmit: true,
      noUnusedLocals: false,
      paths: { 'nestjs-leader-election/core': [entry] },
    });
    return files.flatMap((file) =>
      ts
        .getPreEmitDiagnostics(program, program.getSourceFile(file))
        .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('when docs/plain-node.md shows code', () => {
  it('shows code that compiles', () => {
    expect(EXAMPLES).toHaveLength(2);
    expect(faultsOf(EXAMPLES)).toEqual([]);
    expect(faultsOf([EXAMPLES[0]!.replace('term.fencingToken', 'term.token')])).toEqual([
      expect.stringMatching(/Property 'token' does not exist/),
    ]);
  });
});
