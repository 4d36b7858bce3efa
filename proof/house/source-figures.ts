import ts from 'typescript';

/** A function with a body, wherever it is written. */
export interface FunctionLength {
  readonly name: string;
  readonly lines: number;
}

/** Every function of a file, those inside others included; a function counts from its first line to its last. */
export function functionsOf(file: string, text: string): FunctionLength[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: FunctionLength[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const lineAt = (position: number) => source.getLineAndCharacterOfPosition(position).line;
      const lines = lineAt(node.getEnd()) - lineAt(node.getStart(source)) + 1;
      found.push({ name: `${file}: ${node.name?.getText(source) ?? '(unnamed)'}`, lines });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** What an entry of the package exports: names that exist at run time, and names of types alone. */
export interface PublicNames {
  readonly values: readonly string[];
  readonly types: readonly string[];
}

export function publicNamesOf(entry: string): PublicNames {
  const program = ts.createProgram([entry], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    noLib: true,
    types: [],
  });
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!);
  const exported = module === undefined ? [] : checker.getExportsOfModule(module);
  const isValue = (symbol: ts.Symbol) => (targetOf(symbol, checker).flags & VALUE) !== 0;
  return {
    values: exported.filter(isValue).map(({ name }) => name),
    types: exported.filter((symbol) => !isValue(symbol)).map(({ name }) => name),
  };
}

const VALUE = ts.SymbolFlags.Value;

function targetOf(symbol: ts.Symbol, checker: ts.TypeChecker): ts.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}
