import { resolve } from 'node:path';
import ts from 'typescript';
import { tagsOf } from '../../proof/reference/public-options.js';
import type { Fence } from './fences.js';
import { sources } from './pages.js';

/** The examples of the docstrings of `lib`, as fences of pages: those of options in an object of their type. */
export function docstringExamples(): Fence[] {
  return sources('lib').flatMap(({ file, text }) => {
    if (!text.includes('@example')) return [];
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
    return examplesIn(source, source);
  });
}

function examplesIn(node: ts.Node, source: ts.SourceFile): Fence[] {
  const below: Fence[] = [];
  ts.forEachChild(node, (child) => void below.push(...examplesIn(child, source)));
  if (!isDescribed(node)) return below;
  const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
  const own = tagsOf(node, 'example').map((code) => ({
    file: source.fileName,
    line,
    language: 'ts',
    code,
    note: frameOf(node),
  }));
  return [...own, ...below];
}

type Described = ts.ClassElement | ts.TypeElement | ts.DeclarationStatement;

function isDescribed(node: ts.Node): node is Described {
  return (
    ts.isClassElement(node) ||
    ts.isTypeElement(node) ||
    ts.isFunctionDeclaration(node) ||
    ts.isClassDeclaration(node)
  );
}

function isOption(node: ts.Node): node is ts.TypeElement {
  return ts.isPropertySignature(node) || ts.isMethodSignature(node);
}

/** What makes an object of the type of an option's example: what others it needs may be left out. */
function frameOf(node: Described): string | undefined {
  if (!isOption(node)) return undefined;
  const owner = ts.findAncestor(node, isNamedOwner)!;
  const module = `import('${resolve(owner.getSourceFile().fileName).replace(/\.ts$/, '.js')}')`;
  if (!ts.isMethodDeclaration(owner)) {
    return `({ … }) satisfies Partial<Extract<${module}.${owner.name.text}, object>>;`;
  }
  const method = `${module}.${(owner.parent as ts.ClassDeclaration).name!.text}['${owner.name.getText()}']`;
  return `({ … }) satisfies Parameters<${method}>[0];`;
}

function isNamedOwner(
  node: ts.Node,
): node is ts.InterfaceDeclaration | ts.TypeAliasDeclaration | ts.MethodDeclaration {
  return (
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isMethodDeclaration(node)
  );
}
