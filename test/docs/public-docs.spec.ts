import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const ENTRIES = ['lib/index.ts', 'lib/schedule/index.ts', 'lib/testing/index.ts'];

/** What users of the package can name: an export, or a member of one. */
interface PublicName {
  readonly name: string;
  readonly symbol: ts.Symbol;
}

const HIDDEN = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
const program = ts.createProgram(ENTRIES, compilerOptions());
const checker = program.getTypeChecker();
const exported = ENTRIES.flatMap(exportsOf);
const published = [...exported, ...exported.flatMap(membersOf)];

describe('when an editor shows what the package exports', () => {
  it('shows what each name is for', () => {
    const undocumented = published.filter(
      ({ symbol }) => symbol.getDocumentationComment(checker).length === 0,
    );
    expect(namesOf(undocumented)).toEqual([]);
  });

  it('shows for each option that may be left out what it is then', () => {
    const options = exported.filter(({ name }) => name.endsWith('Options')).flatMap(membersOf);
    const optional = options.filter(({ symbol }) => symbol.flags & ts.SymbolFlags.Optional);
    const silent = optional.filter(({ symbol }) => tagsOf(symbol, 'default').length === 0);
    expect(namesOf(silent)).toEqual([]);
  });

  it('shows the unit of each number in its name, unless it counts something', () => {
    const numbers = published.filter(({ symbol }) => isNumber(checker.getTypeOfSymbol(symbol)));
    expect(namesOf(numbers.filter(({ name }) => !UNIT_OR_COUNT.test(name)))).toEqual([]);
  });

  it('shows each error of the package that the body of a function throws', () => {
    const errors = new Set(
      exported.map(({ name }) => name).filter((name) => name.endsWith('Error')),
    );
    const silent = published.flatMap(({ name, symbol }) => {
      const documented = tagsOf(symbol, 'throws').join('\n');
      return thrownBy(symbol)
        .filter((error) => errors.has(error) && !documented.includes(error))
        .map((error) => `${name}: ${error}`);
    });
    expect(silent).toEqual([]);
  });
});

const UNIT_OR_COUNT = /(Ms|Seconds|Micros|[cC]ount|\.number|[tT]erm|Transitions|Timers)$/;

function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile('tsconfig.json', (file) => ts.sys.readFile(file));
  return ts.parseJsonConfigFileContent(config, ts.sys, '.').options;
}

function exportsOf(entry: string): PublicName[] {
  const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!)!;
  return checker.getExportsOfModule(module).map((symbol) => ({
    name: symbol.name,
    symbol: symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
  }));
}

/** Own, inherited and static members that users may use, as far as they are written in this library. */
function membersOf({ name, symbol }: PublicName): PublicName[] {
  const isType = (symbol.flags & ts.SymbolFlags.Type) !== 0;
  const type = isType ? checker.getDeclaredTypeOfSymbol(symbol) : undefined;
  const ofInstances = type === undefined || type.isUnion() ? [] : type.getProperties();
  const ofClass = symbol.flags & ts.SymbolFlags.Class ? [...symbol.exports!.values()] : [];
  return [...ofInstances, ...ofClass]
    .filter(isPublic)
    .map((member) => ({ name: `${name}.${member.name}`, symbol: member }));
}

function isPublic(member: ts.Symbol): boolean {
  if (tagsOf(member, 'internal').length > 0) return false;
  return (member.declarations ?? []).some(
    (declaration) =>
      !declaration.getSourceFile().fileName.includes('node_modules') &&
      (ts.getCombinedModifierFlags(declaration) & HIDDEN) === 0,
  );
}

function isNumber(type: ts.Type): boolean {
  const types = type.isUnion() ? type.types : [type];
  return types.some(({ flags }) => flags & ts.TypeFlags.Number);
}

/** The classes of errors that a function makes and throws, or rejects with, in its own text. */
function thrownBy(symbol: ts.Symbol): string[] {
  const thrown = new Set<string>();
  const visit = (node: ts.Node): void => {
    const isThrown = ts.isThrowStatement(node.parent) || isRejected(node.parent);
    if (ts.isNewExpression(node) && isThrown) thrown.add(node.expression.getText());
    ts.forEachChild(node, visit);
  };
  for (const declaration of symbol.declarations ?? []) {
    if (ts.isFunctionLike(declaration)) ts.forEachChild(declaration, visit);
  }
  return [...thrown];
}

function isRejected(node: ts.Node): boolean {
  return ts.isCallExpression(node) && /(^|\.)reject$/.test(node.expression.getText());
}

function tagsOf(symbol: ts.Symbol, tag: string): string[] {
  return symbol
    .getJsDocTags(checker)
    .filter(({ name }) => name === tag)
    .map(({ text }) => ts.displayPartsToString(text));
}

function namesOf(names: readonly PublicName[]): string[] {
  return [...new Set(names.map(({ name }) => name))].sort();
}
