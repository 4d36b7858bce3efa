import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const ENTRIES = [
  'lib/index.ts',
  'lib/contracts/index.ts',
  'lib/dashboard/index.ts',
  'lib/election/index.ts',
  'lib/metrics/index.ts',
  'lib/schedule/index.ts',
  'lib/testing/index.ts',
  'lib/tracing/index.ts',
];

/** What users of the package can name: an export, or a member of one, of a part of one or of what a function takes. */
interface PublicName {
  readonly name: string;
  readonly symbol: ts.Symbol;
  /** True where users write an object of this type to say what they want, so that what they leave out has a default. */
  readonly isOptions?: boolean;
  readonly parent?: ts.Symbol;
}

const HIDDEN = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
const program = ts.createProgram(ENTRIES, compilerOptions());
const checker = program.getTypeChecker();
const exported = ENTRIES.flatMap(exportsOf);
const seen = new Set<ts.Symbol>();
const published = [...exported, ...exported.flatMap(membersBelow)];

describe('when an editor shows what the package exports', () => {
  it('shows what each name is for', () => {
    const undocumented = published.filter(
      ({ symbol, parent }) => docOf(symbol) === '' && !isNamedBy(parent, symbol),
    );
    expect(namesOf(undocumented)).toEqual([]);
  });

  it('shows for each option that may be left out what it is then', () => {
    const options = published.filter(({ isOptions }) => isOptions);
    const optional = options.filter(({ symbol }) => symbol.flags & ts.SymbolFlags.Optional);
    const silent = optional.filter(({ symbol }) => tagsOf(symbol, 'default').length === 0);
    expect(namesOf(silent)).toEqual([]);
  });

  it('shows the unit of each number in its name, unless it counts something', () => {
    const numbers = published.filter(({ symbol }) => isNumber(checker.getTypeOfSymbol(symbol)));
    expect(namesOf(numbers.filter(({ name }) => !UNIT_OR_COUNT.test(name)))).toEqual([]);
  });

  it('shows each error of the package that a function throws', () => {
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

const UNIT_OR_COUNT =
  /(Ms|Seconds|Micros|[cC]ount|\.number|[tT]erm|[tT]ransitions|candidates|attempt|version|[lL]imit|retries|Timers|Objects|maxJobs)$/;

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

/** Members, their members and so on, each once: also those of types that have no name or are not exported. */
function membersBelow(parent: PublicName): PublicName[] {
  const members = membersOf(parent).filter(({ symbol }) => !seen.has(symbol));
  members.forEach(({ symbol }) => seen.add(symbol));
  return [...members, ...members.flatMap(membersBelow)];
}

/** Own, inherited and static members that users may use, as far as they are written in this library. */
function membersOf({ name, symbol }: PublicName): PublicName[] {
  const isOptions = name.endsWith('Options');
  const ofClass = symbol.flags & ts.SymbolFlags.Class ? [...symbol.exports!.values()] : [];
  const own = [...objectTypesOf(symbol).flatMap((type) => type.getProperties()), ...ofClass]
    .filter(isPublic)
    .map((member) => ({
      name: `${name}.${member.name}`,
      symbol: member,
      isOptions,
      parent: symbol,
    }));
  return [...own, ...givenTo({ name, symbol })];
}

/** What a function takes in objects whose type has no name of its own. */
function givenTo({ name, symbol }: PublicName): PublicName[] {
  const parameters = (symbol.declarations ?? []).flatMap((declaration) =>
    ts.isFunctionLike(declaration) ? [...declaration.parameters] : [],
  );
  return parameters
    .flatMap((parameter) => partsOf(checker.getTypeAtLocation(parameter)))
    .filter((type) => type.symbol?.declarations?.some(ts.isTypeLiteralNode))
    .flatMap((type) => type.getProperties())
    .filter(isPublic)
    .map((member) => ({ name: `${name}.${member.name}`, symbol: member, isOptions: true }));
}

/** The objects that a type, or the type of a member, stands for: one, or one for each part of a union. */
function objectTypesOf(symbol: ts.Symbol): ts.Type[] {
  const isType = (symbol.flags & ts.SymbolFlags.Type) !== 0;
  if (isType) return partsOf(checker.getDeclaredTypeOfSymbol(symbol));
  const isMember = (symbol.flags & (ts.SymbolFlags.Property | ts.SymbolFlags.Accessor)) !== 0;
  return isMember ? partsOf(checker.getTypeOfSymbol(symbol)) : [];
}

function partsOf(type: ts.Type): ts.Type[] {
  const parts = type.isUnion() ? type.types : [type];
  return parts.filter(({ flags }) => flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection));
}

function isPublic(member: ts.Symbol): boolean {
  if (tagsOf(member, 'internal').length > 0) return false;
  return (member.declarations ?? []).some(
    (declaration) =>
      !declaration.getSourceFile().fileName.includes('node_modules') &&
      (ts.getCombinedModifierFlags(declaration) & HIDDEN) === 0,
  );
}

/** The kinds of a union are explained together, where the union is. */
function isNamedBy(union: ts.Symbol | undefined, kind: ts.Symbol): boolean {
  const type = checker.getTypeOfSymbol(kind);
  return (
    type.isStringLiteral() && union !== undefined && docOf(union).includes(`\`${type.value}\``)
  );
}

function docOf(symbol: ts.Symbol): string {
  return ts.displayPartsToString(symbol.getDocumentationComment(checker));
}

function isNumber(type: ts.Type): boolean {
  const types = type.isUnion() ? type.types : [type];
  return types.some(({ flags }) => flags & ts.TypeFlags.Number);
}

/** The classes of errors that a function throws, or rejects with, by itself or by the functions of this library that it calls. */
function thrownBy(symbol: ts.Symbol, visited = new Set<ts.Node>()): string[] {
  const thrown = new Set<string>();
  const visit = (node: ts.Node): void => {
    const isThrown = ts.isThrowStatement(node.parent) || isRejected(node.parent);
    if (isThrown && ts.isExpression(node)) {
      const { symbol: type } = checker.getTypeAtLocation(node);
      if (type !== undefined) thrown.add(type.name);
    }
    if (ts.isCallExpression(node)) calledBy(node, visited).forEach((name) => thrown.add(name));
    ts.forEachChild(node, visit);
  };
  for (const declaration of symbol.declarations ?? []) {
    if (!ts.isFunctionLike(declaration) || visited.has(declaration)) continue;
    visited.add(declaration);
    ts.forEachChild(declaration, visit);
  }
  return [...thrown];
}

/** Follows plain calls: what a method of an object throws is up to the object. */
function calledBy({ expression }: ts.CallExpression, visited: Set<ts.Node>): string[] {
  if (!ts.isIdentifier(expression)) return [];
  const symbol = checker.getSymbolAtLocation(expression);
  if (symbol === undefined) return [];
  const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
  return thrownBy(isAlias ? checker.getAliasedSymbol(symbol) : symbol, visited);
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
