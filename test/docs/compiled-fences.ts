import { dirname, join } from 'node:path';
import ts from 'typescript';
import { compilerOptions, ENTRIES } from '../../proof/reference/public-options.js';
import type { Fence } from './fences.js';

/** Whose names a fence without an import need not import; of two packages that have a name, the first is meant. */
const IMPLIED = [
  ...Object.keys(ENTRIES),
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/schedule',
  '@nestjs/terminus',
  '@nestjs/testing',
  'prom-client',
];

const ROOT = process.cwd();
const READERS_OWN = join(ROOT, 'test', 'docs', 'readers-own.ts');
const OPTIONS = optionsOfFences();

interface Faults {
  /** Of each fence, in their order: the line of the page and the message. */
  readonly fences: readonly (readonly string[])[];
  /** Of the declarations of what fences leave to the reader. */
  readonly readersOwn: readonly string[];
}

/** What the compiler says: each fence is a file of one program, in which it is on the lines that it has on its page. */
export function faultsOf(fences: readonly Fence[]): Faults {
  const first = ts.createProgram([...IMPLIED_FILE.keys()], OPTIONS, hostOf(IMPLIED_FILE));
  const importsOf = impliedImports(first);
  const named = fences.map((fence, index) => {
    const name = join(folderOf(fence), `${fence.line}.ts`);
    return { fence, name, text: fileOf(chainOf(fences, index), importsOf) };
  });
  const texts = new Map([
    ...named.map(({ name, text }) => [name, text] as const),
    ...fences.flatMap(filesOf),
  ]);
  const program = ts.createProgram([...texts.keys(), READERS_OWN], OPTIONS, hostOf(texts), first);
  return {
    fences: named.map(({ fence, name }) => faultsIn(program, name, fence)),
    readersOwn: faultsIn(program, READERS_OWN),
  };
}

const IMPLIED_FILE: ReadonlyMap<string, string> = new Map([
  [
    join(ROOT, 'implied.ts'),
    IMPLIED.map((module, index) => `export * as m${index} from '${module}';`).join('\n'),
  ],
]);

function optionsOfFences(): ts.CompilerOptions {
  const paths = Object.entries(ENTRIES).map(([name, file]) => [name, [join(ROOT, file)]]);
  return {
    ...compilerOptions(),
    noEmit: true,
    noUnusedLocals: false,
    noUnusedParameters: false,
    paths: Object.fromEntries(paths) as ts.MapLike<string[]>,
  };
}

/** Where the compiler finds the files of a page, which no folder holds. */
function folderOf({ file }: Fence): string {
  return join(ROOT, 'docs', file.replace(/\W/g, '-'));
}

/** A fence that names its file in its first line is that file to the others of its page, beside the files of `nest new`. */
function filesOf(fence: Fence): (readonly [string, string])[] {
  const folder = folderOf(fence);
  const [, name] = /^\/\/ src\/(\S+\.ts)\n/.exec(fence.code) ?? [];
  if (name === undefined) return [];
  return [
    [join(folder, 'app.controller.ts'), 'export class AppController {}'],
    [join(folder, 'app.service.ts'), 'export class AppService {}'],
    [join(folder, name), fence.code],
  ];
}

/** Finds these files beside those of the disk. */
function hostOf(texts: ReadonlyMap<string, string>): ts.CompilerHost {
  const host = ts.createCompilerHost(OPTIONS);
  const folders = new Set([...texts.keys()].map((file) => dirname(file)));
  return {
    ...host,
    directoryExists: (folder) => folders.has(folder) || host.directoryExists!(folder),
    fileExists: (file) => texts.has(file) || host.fileExists(file),
    readFile: (file) => texts.get(file) ?? host.readFile(file),
    getSourceFile: (file, version, ...rest) => {
      const text = texts.get(file);
      if (text === undefined) return host.getSourceFile(file, version, ...rest);
      return ts.createSourceFile(file, text, version);
    },
  };
}

function faultsIn(program: ts.Program, file: string, fence?: Fence): string[] {
  const source = program.getSourceFile(file)!;
  const last = fence === undefined ? Infinity : fence.line + fence.code.split('\n').length + 1;
  return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    .map(({ start, messageText }) => ({
      line: source.getLineAndCharacterOfPosition(start!).line + 1,
      message: ts.flattenDiagnosticMessageText(messageText, '\n'),
    }))
    .filter(({ line }) => fence === undefined || line === 1 || (line >= fence.line && line <= last))
    .map(({ line, message }) => `line ${line}: ${message}`);
}

/** For a fence that imports nothing: an import of each name in it that a package exports. */
function impliedImports(program: ts.Program): (code: string) => string[] {
  const checker = program.getTypeChecker();
  const modules = checker.getExportsOfModule(symbolOf(program, join(ROOT, 'implied.ts')));
  const known = new Map<string, string>();
  modules.forEach((module, index) => {
    for (const symbol of checker.getExportsOfModule(checker.getAliasedSymbol(module))) {
      const isAlias = symbol.flags & ts.SymbolFlags.Alias;
      const { flags } = isAlias ? checker.getAliasedSymbol(symbol) : symbol;
      const type = flags & ts.SymbolFlags.Value ? '' : 'type ';
      const line = `import { ${type}${symbol.name} } from '${IMPLIED[index]}';`;
      if (!known.has(symbol.name)) known.set(symbol.name, line);
    }
  });
  return (code) => {
    const source = parsed(code);
    if (source.statements.some(ts.isImportDeclaration)) return [];
    const declared = new Set(source.statements.flatMap(declaredBy));
    const names = new Set(code.match(/[A-Za-z_$][\w$]*/g));
    return [...names]
      .filter((name) => !declared.has(name))
      .flatMap((name) => known.get(name) ?? []);
  };
}

function symbolOf(program: ts.Program, file: string): ts.Symbol {
  return program.getTypeChecker().getSymbolAtLocation(program.getSourceFile(file)!)!;
}

function declaredBy(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  const isNamed = ts.isClassDeclaration(statement) || ts.isFunctionDeclaration(statement);
  if (isNamed || ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement))
    return statement.name === undefined ? [] : [statement.name.text];
  return [];
}

/** A fence behind those that it continues. */
function chainOf(fences: readonly Fence[], index: number): Fence[] {
  const fence = fences[index]!;
  const before = fences[index - 1];
  if (fence.note !== 'continues' || before?.file !== fence.file) return [fence];
  return [...chainOf(fences, index - 1), fence];
}

/**
 * The text of the file: each fence on its own lines, one that continues another in a block below it, so that it sees its
 * names and may declare them again. Imports, which no block may hold, are then in the first line: no page begins with code.
 */
function fileOf(chain: readonly Fence[], importsOf: (code: string) => string[]): string {
  const lines: string[] = [];
  const imports = new Set<string>();
  for (const [depth, { code, line, note }] of chain.entries()) {
    const [before, after] = frameOf(code, note);
    const { own, rest } = chain.length > 1 ? withoutImports(code) : { own: [], rest: code };
    for (const each of [...own, ...importsOf(before + code + after)]) imports.add(each);
    lines[line - 1] = depth === 0 ? before : `{ ${before}`;
    const body = depth === 0 ? rest : rest.replace(/^export (?=\w)/gm, '');
    body.split('\n').forEach((text, index) => (lines[line + index] = text));
    lines[line + code.split('\n').length] = after;
  }
  lines[0] = ['export {};', ...imports].join(' ');
  lines.push('} '.repeat(chain.length - 1));
  return Array.from(lines, (line) => line ?? '').join('\n');
}

/** What stands before and after a fence: its note says so, or nothing, unless it is members of a class. */
function frameOf(code: string, note: string | undefined): readonly [string, string] {
  if (note?.includes('…')) {
    const [before, after] = note.split('…');
    return [before!, after!];
  }
  const inClass = `class Snippet {\n${code}\n}`;
  return !isComplete(code) && isComplete(inClass) ? ['class Snippet {', '}'] : ['', ''];
}

function isComplete(code: string): boolean {
  const { diagnostics } = ts.transpileModule(code, {
    reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ES2022, experimentalDecorators: true },
  });
  return diagnostics!.length === 0;
}

/** The imports of a fence, one for each name, and the rest of it on the lines that it had. */
function withoutImports(code: string): { own: string[]; rest: string } {
  const source = parsed(code);
  const own: string[] = [];
  let rest = code;
  for (const statement of source.statements.filter(ts.isImportDeclaration)) {
    const text = statement.getText(source);
    const from = `from ${statement.moduleSpecifier.getText(source)};`;
    const { importClause } = statement;
    const bindings = importClause?.namedBindings;
    if (importClause?.name === undefined && bindings !== undefined && ts.isNamedImports(bindings)) {
      const type = importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword ? 'type ' : '';
      own.push(
        ...bindings.elements.map((each) => `import { ${type}${each.getText(source)} } ${from}`),
      );
    } else own.push(text);
    rest = rest.replace(text, text.replace(/[^\n]+/g, ''));
  }
  return { own, rest };
}

function parsed(code: string): ts.SourceFile {
  return ts.createSourceFile('snippet.ts', code, ts.ScriptTarget.ES2022, true);
}
