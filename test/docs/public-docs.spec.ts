import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import ts from 'typescript';
import {
  allOptions,
  configurationPage,
  literalOf,
  PAGE,
} from '../../proof/reference/configuration-page.js';
import { ENTRIES, type Option, PublicOptions } from '../../proof/reference/public-options.js';
import { faultsOf, START_CHECKS } from '../../proof/reference/start-checks.js';
import { evaluated } from './evaluated.js';
import { sources } from './pages.js';

/** What users of the package can name: an export, or a member of one, of a part of one or of what a function takes. */
interface PublicName {
  readonly name: string;
  readonly symbol: ts.Symbol;
  /** True where users write an object of this type to say what they want, so that what they leave out has a default. */
  readonly isOptions?: boolean;
  readonly parent?: ts.Symbol;
}

const HIDDEN = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
const publicOptions = new PublicOptions();
const { program } = publicOptions;
const checker = program.getTypeChecker();
/** Each for each receiver that takes it. */
const OPTIONS = publicOptions.subPaths().flatMap(({ receivers }) =>
  receivers.flatMap((receiver) =>
    allOptions(receiver.options).map((option) => ({
      title: `${receiver.path}: ${option.name}`,
      option,
      receiver,
    })),
  ),
);
const exported = Object.values(ENTRIES).flatMap(exportsOf);
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

describe('when an option has an example', () => {
  it('is every option', () => {
    const silent = OPTIONS.filter(({ option }) => option.example === undefined);
    expect(silent.map(({ title }) => title)).toEqual([]);
  });

  const checked = OPTIONS.filter(({ receiver }) => receiver.path in START_CHECKS);
  it.each(checked)('starts with that of $title', ({ option, receiver }) => {
    const check = START_CHECKS[receiver.path]!;
    expect(faultsOf(check, given(option))).toEqual([]);
  });
});

describe('when a docstring gives a literal as the default of an option', () => {
  const literals = OPTIONS.filter(({ option, receiver }) => {
    const { isTelling = false } = START_CHECKS[receiver.path] ?? {};
    return isTelling && defaultOf(option) !== undefined;
  });

  it('is one of some forty', () => {
    expect(literals.length).toBeGreaterThan(40);
  });

  it.each(literals)('reads the same as if nothing was given for $title', ({ option, receiver }) => {
    const { read, required } = START_CHECKS[receiver.path]!;
    const readOf = (options: object) => read({ ...required, ...options });
    expect(readOf(within(option, defaultOf(option)))).toEqual(readOf(within(option, undefined)));
    expect(readOf(given(option))).not.toEqual(readOf(within(option, undefined)));
  });
});

describe('when a user looks an option up in docs/configuration.md', () => {
  it('finds what `npm run docs:options` writes from the types', async () => {
    expect(readFileSync(PAGE, 'utf8')).toBe(await configurationPage(publicOptions));
  });

  it('finds every option that the package takes, and what it is by default', () => {
    const declarations = new Set(OPTIONS.map(({ option }) => option.declaration));
    const options = published.filter(
      ({ name, isOptions }) => isOptions && !NOT_WRITTEN_BY_USERS.test(name),
    );
    const missing = options.filter(
      ({ symbol }) => !symbol.declarations?.some((each) => declarations.has(each)),
    );
    expect(namesOf(missing)).toEqual([]);
  });

  it('finds every environment variable that the library reads', () => {
    const variables = new Set(publicOptions.variables().map(({ name }) => name));
    const read = sources('lib').flatMap(({ text }) =>
      [
        ...withoutComments(text).matchAll(/(?<!delete )\benv\[?'?\.?([A-Z][A-Z_]+|container)\b/g),
      ].map(([, name]) => name!),
    );
    expect(read.filter((name) => !variables.has(name))).toEqual([]);
    expect(read.length).toBeGreaterThan(10);
  });
});

/** What the library gives to a lock, and the role that a factory may repeat. */
const NOT_WRITTEN_BY_USERS = /^LockRequestOptions\.|\.lock\.|^LeaderElectionFactoryOptions\.role$/;

const UNIT_OR_COUNT =
  /(Ms|Seconds|Micros|[cC]ount|\.number|[tT]erm|[tT]ransitions|candidates|attempt|version|[lL]imit|retries|Timers|Objects|maxJobs)$/;

/** The literal that the default of an option begins with. */
function defaultOf(option: Option): unknown {
  const literal = literalOf(option.default ?? '');
  return literal === undefined ? undefined : evaluated(literal);
}

/** The options of its example. */
function given(option: Option): Record<string, unknown> {
  const example = evaluated(`({ ${option.example} })`) as Record<string, unknown>;
  const [outer] = option.name.split('.');
  return option.name === outer ? example : { [outer!]: example };
}

/** The option, or the object that it is a part of, with this value. */
function within(option: Option, value: unknown): Record<string, unknown> {
  const [outer, part] = option.name.split('.');
  if (part === undefined) return { [outer!]: value };
  const { [part]: _, ...others } = given(option)[outer!] as Record<string, unknown>;
  return { [outer!]: { ...others, [part]: value } };
}

/** What users read in comments, the library does not read. */
function withoutComments(text: string): string {
  return text.replace(/\/\*\*[\s\S]*?\*\//g, '');
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
