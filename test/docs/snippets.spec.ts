import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import ts from 'typescript';
import { parseAllDocuments } from 'yaml';
import { wrongCallsIn } from './command-lines.js';
import { ENTRIES } from '../../proof/reference/public-options.js';
import { faultsOf } from './compiled-fences.js';
import { docstringExamples } from './docstring-examples.js';
import { fencesOf, type Fence } from './fences.js';
import { wrongInManifest } from './manifests.js';
import { pages } from './pages.js';

const FENCES = pages().flatMap(fencesOf);

const TYPESCRIPT = ['ts', 'typescript'];
const JAVASCRIPT = ['js', 'javascript', 'mjs', 'cjs'];
const YAML = ['yaml', 'yml'];
const SHELL = ['sh', 'bash'];
/** Has no rule: no program reads it, or one that this repository does not have. */
const READ_ONLY = ['text', 'mermaid', 'diff', 'dockerfile', 'java', 'properties', 'promql'];

const titled = (languages: readonly string[]) =>
  FENCES.filter(({ language }) => languages.includes(language)).map(
    (fence) => [`${fence.file}:${fence.line}`, fence] as const,
  );

describe('when a page shows code', () => {
  it('says in which language, and one that has a rule here', () => {
    const known = [...TYPESCRIPT, ...JAVASCRIPT, ...YAML, ...SHELL, ...READ_ONLY, 'json'];
    const others = FENCES.filter(({ language }) => !known.includes(language));
    expect(others.map(({ file, line, language }) => `${file}:${line} ${language}`)).toEqual([]);
  });

  it('continues or frames only code that is compiled', () => {
    const idle = FENCES.filter(
      ({ note, language }) => note !== undefined && !TYPESCRIPT.includes(language),
    );
    expect(idle.map(({ file, line }) => `${file}:${line}`)).toEqual([]);
  });
});

describe('when a page or a docstring shows TypeScript', () => {
  const shown = [
    ...titled(TYPESCRIPT),
    ...docstringExamples().map((fence) => [`${fence.file}:${fence.line}`, fence] as const),
  ];
  const faults = new Map<Fence, readonly string[]>();
  let faultsOfReadersOwn: readonly string[];
  beforeAll(() => {
    const fences = [...shown.map(([, fence]) => fence), ...WRONG_PAGE];
    const found = faultsOf(fences);
    fences.forEach((fence, index) => faults.set(fence, found.fences[index]!));
    faultsOfReadersOwn = found.readersOwn;
  });

  it.each(shown)('compiles %s', (_title, fence) => {
    expect(faults.get(fence)).toEqual([]);
  });

  it('takes what is left to the reader from declarations that compile', () => {
    expect(faultsOfReadersOwn).toEqual([]);
  });

  it('finds what is wrong, on its line of the page', () => {
    expect(WRONG_PAGE.map((fence) => faults.get(fence))).toEqual([
      [],
      [expect.stringMatching(/^line 8: Property 'token' does not exist/)],
      [expect.stringMatching(/^line 13: .* no exported member 'LeaderOften'/)],
      [expect.stringMatching(/^line 20: Cannot find name 'LeaderOnly'/)],
      [expect.stringMatching(/^line 26: Cannot find name 'term'/)],
      [expect.stringMatching(/^line 31: Type 'number' is not assignable/)],
    ]);
  });
});

describe('when a page shows the entries of the package', () => {
  it('compiles it against the source of each of them', () => {
    const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: object };
    const names = Object.keys(exports).filter((name) => name !== './package.json');
    expect(Object.keys(ENTRIES).toSorted()).toEqual(
      names.map((name) => name.replace('.', 'nestjs-leader-election')).toSorted(),
    );
  });
});

describe('when a page shows data', () => {
  it.each(titled(['json']))('shows JSON that parses in %s', (_title, { code }) => {
    expect(() => JSON.parse(code) as unknown).not.toThrow();
  });

  it.each(titled(YAML))('shows YAML of objects that Kubernetes has in %s', (_title, { code }) => {
    const documents = parseAllDocuments(code);
    expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
    expect(documents.flatMap((document) => wrongInManifest(document.toJS()))).toEqual([]);
  });

  it('knows a manifest that Kubernetes would refuse', () => {
    const rule = { apiGroups: [''], resources: ['leases'], verbs: ['get', 'read'] };
    const role = { apiVersion: 'v1', kind: 'Role', metadata: { name: 'a' }, rules: [rule] };
    expect(wrongInManifest(role)).toEqual([
      'there is no Role of v1',
      'there are no leases in [""]',
      'there is no verb read',
    ]);
  });
});

describe('when a page shows JavaScript', () => {
  it('shows code that parses', () => {
    const wrong = titled(JAVASCRIPT).filter(([, { code }]) => {
      const { diagnostics } = ts.transpileModule(code, { reportDiagnostics: true });
      return diagnostics!.length > 0;
    });
    expect(wrong.map(([title]) => title)).toEqual([]);
  });
});

describe('when a page calls the program', () => {
  it('names commands and options that it has', () => {
    const wrong = pages().map(({ file, text }) => [file, wrongCallsIn(text)] as const);
    expect(wrong.filter(([, calls]) => calls.length > 0)).toEqual([]);
  });

  it('knows a command and an option that it does not have', () => {
    const text = '`npx nestjs-leader-election reign`, `npx nestjs-leader-election jobs --leese a`';
    expect(wrongCallsIn(text)).toEqual([
      'reign: there is no such command',
      expect.stringMatching(/^jobs --leese a: Unknown option '--leese'/),
    ]);
  });
});

/** A page whose fences, but for the first, are wrong. */
const WRONG_PAGE = fencesOf({
  file: 'wrong.md',
  text: `# Wrong

\`\`\`ts
const term = leadership.term!;
\`\`\`
<!-- snippet: continues -->
\`\`\`ts
const token = term.token;
\`\`\`

\`\`\`ts
import type { Term } from 'nestjs-leader-election';
import { LeaderOften } from 'nestjs-leader-election';
\`\`\`

\`\`\`ts
import { LeadershipService } from 'nestjs-leader-election';

class Poller {
  @LeaderOnly()
  poll(): void {}
}
\`\`\`

\`\`\`ts
term.signal.throwIfAborted();
\`\`\`

<!-- snippet: LeaderElectionModule.forRoot({ role: 'a', … }) -->
\`\`\`ts
leaseName: 1,
\`\`\`
`,
});
