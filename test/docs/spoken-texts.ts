import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import ts from 'typescript';
import { compilerOptions } from '../../proof/reference/public-options.js';

/** A text of the code, with … in place of what differs from case to case. */
export interface SpokenText {
  readonly text: string;
  /** File and line. */
  readonly place: string;
}

/** The library as one program, asked for what it says to people. */
export class SpokenTexts {
  private readonly program: ts.Program;
  private readonly checker: ts.TypeChecker;
  private readonly files: readonly ts.SourceFile[];

  constructor() {
    const names = ts.sys.readDirectory('lib', ['.ts'], ['lib/dashboard/page/**']);
    this.program = ts.createProgram(names, { ...compilerOptions(), noEmit: true });
    this.checker = this.program.getTypeChecker();
    this.files = names.map((name) => this.program.getSourceFile(name)!);
  }

  /** The rule of each fault of options: in an object with a rule and a fix, or given to a function that makes one. */
  rules(): SpokenText[] {
    return this.found((node) => {
      if (ts.isObjectLiteralExpression(node)) return ruleOf(node);
      if (!ts.isCallExpression(node)) return undefined;
      const declaration = this.checker.getResolvedSignature(node)?.declaration;
      const names = (declaration?.parameters ?? []).map(({ name }) => name.getText());
      const isOfFault = names.includes('rule') && /\bfix\b/.test(declaration!.getText());
      return isOfFault ? node.arguments[names.indexOf('rule')] : undefined;
    });
  }

  /** The message of each error below these folders that is of no class of this library. */
  plainErrors(folders: readonly string[]): SpokenText[] {
    const errors = this.found((node) => {
      const isPlain = ts.isNewExpression(node) && /^(Type)?Error$/.test(node.expression.getText());
      return isPlain ? node.arguments?.[0] : undefined;
    });
    return errors.filter(({ place }) => folders.some((folder) => place.startsWith(folder)));
  }

  /** What tells each class of errors apart: its code or, where it has none, its name. */
  errorClasses(): SpokenText[] {
    return this.files.flatMap((file) =>
      file.statements.filter(ts.isClassDeclaration).flatMap((node) => {
        const isAbstract = node.modifiers?.some(
          ({ kind }) => kind === ts.SyntaxKind.AbstractKeyword,
        );
        if (!node.name!.text.endsWith('Error') || isAbstract) return [];
        const type = this.checker.getTypeAtLocation(node.name!);
        const code = type.getProperty('code');
        const value = code === undefined ? undefined : this.checker.getTypeOfSymbol(code);
        const text = value?.isStringLiteral() ? value.value : node.name!.text;
        return [{ text, place: placeOf(node) }];
      }),
    );
  }

  /** The kinds of a union of strings that a file declares under this name. */
  kindsOf(name: string): string[] {
    return this.files
      .flatMap(({ statements }) => [...statements])
      .filter(ts.isTypeAliasDeclaration)
      .filter((declaration) => declaration.name.text === name)
      .map((declaration) => this.checker.getTypeAtLocation(declaration))
      .flatMap((type) => (type.isUnion() ? type.types : [type]))
      .flatMap((type) => (type.isStringLiteral() ? [type.value] : []));
  }

  private found(select: (node: ts.Node) => ts.Expression | undefined): SpokenText[] {
    const found: SpokenText[] = [];
    const visit = (node: ts.Node): void => {
      const selected = select(node);
      if (selected !== undefined) {
        const texts = this.textsOf(selected, new Set());
        found.push(...texts.map((text) => ({ text, place: placeOf(node) })));
      }
      ts.forEachChild(node, visit);
    };
    this.files.forEach(visit);
    return found;
  }

  /** Each text that an expression may be. What another function was given is found where it was given. */
  private textsOf(node: ts.Expression, seen: Set<ts.Node>): string[] {
    if (seen.has(node)) return [];
    seen.add(node);
    if (ts.isStringLiteralLike(node)) return [node.text];
    if (ts.isTemplateExpression(node))
      return [
        [node.head, ...node.templateSpans.map(({ literal }) => literal)]
          .map(({ text }) => text)
          .join('…'),
      ];
    if (ts.isConditionalExpression(node))
      return [node.whenTrue, node.whenFalse].flatMap((each) => this.textsOf(each, seen));
    if (ts.isBinaryExpression(node)) return this.textsOfBoth(node, seen);
    if (ts.isCallExpression(node))
      return this.returnedBy(node).flatMap((each) => this.textsOf(each, seen));
    if (ts.isIdentifier(node)) {
      const initializer = this.initializerOf(node);
      return initializer === undefined ? [] : this.textsOf(initializer, seen);
    }
    return [];
  }

  private textsOfBoth(
    { left, right, operatorToken }: ts.BinaryExpression,
    seen: Set<ts.Node>,
  ): string[] {
    const [before, after] = [this.textsOf(left, seen), this.textsOf(right, seen)];
    const isSum = operatorToken.kind === ts.SyntaxKind.PlusToken;
    return isSum
      ? before.flatMap((text) => after.map((rest) => text + rest))
      : [...before, ...after];
  }

  private initializerOf(node: ts.Identifier): ts.Expression | undefined {
    const parent = node.parent;
    const isShort = ts.isShorthandPropertyAssignment(parent) && parent.name === node;
    let symbol = isShort
      ? this.checker.getShorthandAssignmentValueSymbol(parent)
      : this.checker.getSymbolAtLocation(node);
    if (symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias)
      symbol = this.checker.getAliasedSymbol(symbol);
    const declaration = symbol?.valueDeclaration;
    return declaration !== undefined && ts.isVariableDeclaration(declaration)
      ? declaration.initializer
      : undefined;
  }

  private returnedBy(call: ts.CallExpression): ts.Expression[] {
    const declaration = this.checker.getResolvedSignature(call)?.declaration;
    const body = (declaration as ts.FunctionLikeDeclaration | undefined)?.body;
    if (body === undefined) return [];
    if (!ts.isBlock(body)) return [body];
    const returned: ts.Expression[] = [];
    const visit = (node: ts.Node): void => {
      if (ts.isReturnStatement(node) && node.expression !== undefined)
        returned.push(node.expression);
      if (!ts.isFunctionLike(node)) ts.forEachChild(node, visit);
    };
    visit(body);
    return returned;
  }
}

function ruleOf(node: ts.ObjectLiteralExpression): ts.Expression | undefined {
  const named = (name: string) =>
    node.properties.find((property) => property.name?.getText() === name);
  const rule = named('rule');
  if (rule === undefined || named('fix') === undefined) return undefined;
  if (ts.isPropertyAssignment(rule)) return rule.initializer;
  return ts.isShorthandPropertyAssignment(rule) ? rule.name : undefined;
}

function placeOf(node: ts.Node): string {
  const source = node.getSourceFile();
  return `${relative('.', source.fileName)}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}

/** An entry of docs/troubleshooting.md and what leads to it, as the quotation below its heading has it. */
export interface TroubleEntry {
  readonly title: string;
  readonly log: readonly string[];
  readonly error: readonly string[];
  readonly doctor: readonly string[];
  readonly alert: readonly string[];
  readonly message: readonly string[];
}

export function troubleEntries(): TroubleEntry[] {
  const [, ...entries] = readFileSync('docs/troubleshooting.md', 'utf8').split(/^### /m);
  return entries.map((entry) => {
    const title = entry.slice(0, entry.indexOf('\n'));
    const quoted = /^\n((?:> .*\n)+)/.exec(entry.slice(title.length + 1))?.[1] ?? '';
    const parts = quoted.replace(/\n?> /g, ' ').split('**');
    const quotedAs = (kind: string) =>
      [...(parts[parts.indexOf(kind) + 1] ?? '').matchAll(/`([^`]+)`/g)].map(([, text]) => text!);
    const [log, error, doctor, alert, message] = ['Log', 'Error', 'Doctor', 'Alert', 'Message'].map(
      (kind) => (parts.includes(kind) ? quotedAs(kind) : []),
    );
    return { title, log: log!, error: error!, doctor: doctor!, alert: alert!, message: message! };
  });
}
