import ts from 'typescript';

/** An option, as its docstring and its type describe it. */
export interface Option {
  /** With the option that it is a part of: `members.labelSelector`. */
  readonly name: string;
  /** The whole type, as users may write it. */
  readonly type: string;
  readonly isOptional: boolean;
  readonly text: string;
  readonly default: string | undefined;
  readonly example: string | undefined;
  /** Links to pages of the docs: `docs/lifecycle.md#eligibility`. */
  readonly see: readonly string[];
  readonly since: string | undefined;
  readonly parts: readonly Option[];
  readonly declaration: ts.Declaration;
}

/** What users call and what it takes: a module, a decorator, a lock, a method. */
export interface Receiver {
  /** `LeaderElectionModule.forRoot`. */
  readonly path: string;
  /** As users write it: `@LeaderOnly(roleOrOptions?)`, `new LeadershipMetrics(options)`. */
  readonly call: string;
  readonly isDecorator: boolean;
  readonly text: string;
  readonly example: string | undefined;
  readonly parameters: readonly { readonly name: string; readonly text: string }[];
  readonly options: readonly Option[];
}

export interface SubPath {
  /** `nestjs-leader-election/health`. */
  readonly specifier: string;
  readonly text: string;
  readonly receivers: readonly Receiver[];
}

/** A variable of the process, as the table in the code describes it. */
export interface Variable {
  readonly name: string;
  readonly text: string;
}

/** The entries of the package by what users import, in the order in which a newcomer needs them. */
export const ENTRIES: Readonly<Record<string, string>> = {
  'nestjs-leader-election': 'lib/index.ts',
  'nestjs-leader-election/schedule': 'lib/schedule/index.ts',
  'nestjs-leader-election/core': 'lib/election/index.ts',
  'nestjs-leader-election/health': 'lib/health/index.ts',
  'nestjs-leader-election/metrics': 'lib/metrics/index.ts',
  'nestjs-leader-election/tracing': 'lib/tracing/index.ts',
  'nestjs-leader-election/dashboard': 'lib/dashboard/index.ts',
  'nestjs-leader-election/testing': 'lib/testing/index.ts',
  'nestjs-leader-election/contracts': 'lib/contracts/index.ts',
};

const ENVIRONMENT = 'lib/core/environment.ts';
const HIDDEN = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;

/** Those of the repository's own sources. */
export function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile('tsconfig.json', (file) => ts.sys.readFile(file));
  return ts.parseJsonConfigFileContent(config, ts.sys, '.').options;
}

/** Reads what can be configured from the sources of the package: nothing is listed by hand. */
export class PublicOptions {
  private readonly checker: ts.TypeChecker;

  constructor(
    readonly program = ts.createProgram(
      [...Object.values(ENTRIES), ENVIRONMENT],
      compilerOptions(),
    ),
  ) {
    this.checker = program.getTypeChecker();
  }

  subPaths(): SubPath[] {
    return Object.entries(ENTRIES).map(([specifier, entry]) => {
      const source = this.program.getSourceFile(entry)!;
      const exported = this.checker
        .getExportsOfModule(this.checker.getSymbolAtLocation(source)!)
        .map((symbol) => this.unaliased(symbol));
      const receivers = exported.flatMap((symbol) => this.receiversIn(symbol));
      return { specifier, text: leadingCommentOf(source), receivers };
    });
  }

  /** The names of the exported types by which users write options. */
  optionTypes(): string[] {
    const names = Object.values(ENTRIES).flatMap((entry) => {
      const module = this.checker.getSymbolAtLocation(this.program.getSourceFile(entry)!)!;
      return this.checker.getExportsOfModule(module).map(({ name }) => name);
    });
    return [...new Set(names)].filter(isOptionsName).sort();
  }

  variables(): Variable[] {
    const module = this.checker.getSymbolAtLocation(this.program.getSourceFile(ENVIRONMENT)!)!;
    const [table] = this.checker.getExportsOfModule(module);
    return this.checker
      .getDeclaredTypeOfSymbol(table!)
      .getProperties()
      .map((symbol) => ({ name: symbol.name, text: this.docOf(symbol) }));
  }

  private unaliased(symbol: ts.Symbol): ts.Symbol {
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    return isAlias ? this.checker.getAliasedSymbol(symbol) : symbol;
  }

  private receiversIn(symbol: ts.Symbol): Receiver[] {
    return (symbol.declarations ?? []).flatMap((declaration) => {
      if (ts.isFunctionDeclaration(declaration)) {
        return this.receiver(declaration, symbol.name, symbol);
      }
      // Errors are made by the library.
      if (!ts.isClassDeclaration(declaration) || symbol.name.endsWith('Error')) return [];
      return declaration.members.flatMap((member) => this.receiverOfClass(member, symbol));
    });
  }

  private receiverOfClass(member: ts.ClassElement, owner: ts.Symbol): Receiver[] {
    if (ts.getCombinedModifierFlags(member) & HIDDEN || isInternal(member)) return [];
    if (ts.isConstructorDeclaration(member)) return this.receiver(member, owner.name, owner);
    if (!ts.isMethodDeclaration(member) || !ts.isIdentifier(member.name)) return [];
    const symbol = this.checker.getSymbolAtLocation(member.name)!;
    return this.receiver(member, `${owner.name}.${member.name.text}`, symbol);
  }

  private receiver(
    declaration: ts.FunctionLikeDeclaration,
    path: string,
    symbol: ts.Symbol,
  ): Receiver[] {
    if (isInternal(declaration)) return [];
    const tags = symbol.getJsDocTags(this.checker);
    const options = declaration.parameters.flatMap((parameter) => this.optionsOf(parameter));
    const isDecorator = /Decorator/.test(declaration.type?.getText() ?? '');
    if (options.length === 0 && !isDecorator) return [];
    const names = declaration.parameters.map((parameter) => parameterName(parameter));
    const prefix = isDecorator ? '@' : ts.isConstructorDeclaration(declaration) ? 'new ' : '';
    return [
      {
        path,
        call: `${prefix}${path}(${names.join(', ')})`,
        isDecorator,
        text: this.docOf(symbol),
        example: writtenTags(symbol, 'example')[0],
        parameters: textsOf(tags, 'param').flatMap((text) => {
          const [, name, meaning] = /^(\w+)\s+([\s\S]+)$/.exec(text) ?? [];
          return name === undefined ? [] : [{ name, text: meaning! }];
        }),
        options,
      },
    ];
  }

  /** What an object that is given for the parameter may hold; nothing if the parameter takes no options. */
  private optionsOf(parameter: ts.ParameterDeclaration): Option[] {
    const type = this.checker.getTypeAtLocation(parameter);
    return partsOf(type)
      .filter((part) => isOptionsType(part))
      .flatMap((part) => this.optionsIn(part, ''));
  }

  private optionsIn(type: ts.Type, prefix: string): Option[] {
    return this.inOrder(type)
      .filter((symbol) => isOfLibrary(symbol))
      .map((symbol) => this.option(symbol, prefix));
  }

  /** As they are written; what is inherited comes first, as it is what its heirs add to. */
  private inOrder(type: ts.Type): ts.Symbol[] {
    const own = new Set(type.symbol?.members?.values());
    const all = type.getProperties();
    const ownInOrder = all.filter((each) => own.has(each)).sort((a, b) => placeOf(a) - placeOf(b));
    return [...all.filter((each) => !own.has(each)), ...ownInOrder];
  }

  private option(symbol: ts.Symbol, prefix: string): Option {
    const declaration = symbol.declarations![0]!;
    const name = `${prefix}${symbol.name}`;
    const tags = symbol.getJsDocTags(this.checker);
    const type = this.checker.getTypeOfSymbol(symbol);
    const parts = partsOf(type).filter((part) => isOptionsType(part));
    return {
      name,
      type: this.typeText(declaration),
      isOptional: (symbol.flags & ts.SymbolFlags.Optional) !== 0,
      text: this.docOf(symbol),
      default: textsOf(tags, 'default')[0],
      example: writtenTags(symbol, 'example')[0],
      see: writtenTags(symbol, 'see'),
      since: textsOf(tags, 'since')[0],
      parts: parts.flatMap((part) => this.optionsIn(part, `${name}.`)),
      declaration,
    };
  }

  private typeText(declaration: ts.Declaration): string {
    if (ts.isMethodSignature(declaration)) {
      const parameters = declaration.parameters.map(withoutComments).join(', ');
      return `(${parameters}) => ${withoutComments(declaration.type!)}`;
    }
    const { type } = declaration as ts.PropertySignature;
    return type === undefined ? 'unknown' : this.nodeText(type).replace(/^\((.*=>.*)\)$/, '$1');
  }

  /** A union that has a name is written out, as its members are what users write. */
  private nodeText(node: ts.TypeNode): string {
    if (ts.isUnionTypeNode(node)) return node.types.map((each) => this.nodeText(each)).join(' | ');
    if (ts.isTypeReferenceNode(node)) {
      const symbol = this.checker.getSymbolAtLocation(node.typeName);
      const [named] = symbol === undefined ? [] : (this.unaliased(symbol).declarations ?? []);
      const isUnion = named && ts.isTypeAliasDeclaration(named) && ts.isUnionTypeNode(named.type);
      if (isUnion && isOfLibrary(this.unaliased(symbol!))) return this.nodeText(named.type);
    }
    return withoutComments(node);
  }

  private docOf(symbol: ts.Symbol): string {
    return ts.displayPartsToString(symbol.getDocumentationComment(this.checker));
  }
}

function isInternal(declaration: ts.Declaration): boolean {
  return ts.getJSDocTags(declaration).some(({ tagName }) => tagName.text === 'internal');
}

function isOptionsName(name: string): boolean {
  return name.endsWith('Options');
}

/** Also a type without a name, which only objects of options have here. */
function isOptionsType(type: ts.Type): boolean {
  const isInline = type.symbol?.declarations?.some(ts.isTypeLiteralNode) ?? false;
  const name = type.aliasSymbol?.name ?? type.symbol?.name ?? '';
  return isOptionsName(name) || (isInline && type.getProperties().some(isOfLibrary));
}

function placeOf(symbol: ts.Symbol): number {
  return symbol.declarations?.[0]?.pos ?? 0;
}

function isOfLibrary(symbol: ts.Symbol): boolean {
  return (symbol.declarations ?? []).some(
    (declaration) => !declaration.getSourceFile().fileName.includes('node_modules'),
  );
}

function partsOf(type: ts.Type): ts.Type[] {
  const parts = type.isUnion() ? type.types : [type];
  return parts.filter(({ flags }) => flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection));
}

function parameterName(parameter: ts.ParameterDeclaration): string {
  const name = ts.isIdentifier(parameter.name) ? parameter.name.text : 'options';
  return parameter.initializer || parameter.questionToken ? `${name}?` : name;
}

function textsOf(tags: readonly ts.JSDocTagInfo[], tag: string): string[] {
  return tags
    .filter(({ name }) => name === tag)
    .map(({ text }) => ts.displayPartsToString(text).trim());
}

/** The texts of a tag, as they are written: TypeScript takes a decorator of an example, and a path, for something else. */
function writtenTags(symbol: ts.Symbol, tag: string): string[] {
  return (symbol.declarations ?? []).flatMap((declaration) => tagsOf(declaration, tag));
}

export function tagsOf(declaration: ts.Declaration, tag: string): string[] {
  const comments = ts.getJSDocCommentsAndTags(declaration).filter(ts.isJSDoc);
  return comments.flatMap((comment) => {
    const text = comment
      .getText()
      .replace(/\s*\*\/$/, '')
      .replace(/^[ \t]*\* ?/gm, '');
    const tags = text.split(/^(?=@[a-z])/m).filter((each) => /^@(\w+)/.exec(each)?.[1] === tag);
    return tags.map((each) => each.replace(/^@\w+/, '').trim());
  });
}

function withoutComments(node: ts.Node): string {
  const text = node.getText().replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  return text
    .replace(/\breadonly (\w+[?:])/g, '$1')
    .replace(/\s+/g, ' ')
    .replace(/\( /g, '(')
    .replace(/ \)/g, ')')
    .replace(/; }/g, ' }')
    .trim();
}

/** What the file says about itself at its top. */
function leadingCommentOf(source: ts.SourceFile): string {
  const [, comment = ''] = /^\s*\/\*\*([\s\S]*?)\*\//.exec(source.text) ?? [];
  return comment.replace(/^\s*\* ?/gm, '').trim();
}
