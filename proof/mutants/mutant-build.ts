import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';

/** One text of one source file of the library, and what is put in its place. */
export interface SourcePatch {
  /** Below `lib/`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Loads a module of one copy. @param file below `lib/` */
export type LoadModule = (file: string) => Promise<unknown>;

/**
 * The copies share it with the simulation, whose stores answer with these errors: an error of another class is foreign to
 * a copy, which would then not wait as long as a server asks for, and differ from the library in more than its patch.
 */
const SHARED = 'core/errors.ts';

/** Copies of some folders of the library in which texts are exchanged, compiled in a temporary folder. */
export class MutantBuild {
  /** Most files are the same in every mutant. */
  private readonly compiled = new Map<string, string>();

  private constructor(
    private readonly folder: string,
    private readonly parts: readonly string[],
    private readonly isOfOtherProcesses: boolean,
  ) {}

  /**
   * @param parts folders below `lib/`, all that the copies import
   * @param isOfOtherProcesses the copies run in processes of their own, and share nothing with this one
   */
  static async open(
    parts: readonly string[],
    { isOfOtherProcesses = false } = {},
  ): Promise<MutantBuild> {
    const folder = await mkdtemp(join(tmpdir(), 'mutants-'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    await symlink(resolve('node_modules'), join(folder, 'node_modules'));
    return new MutantBuild(folder, parts, isOfOtherProcesses);
  }

  /** @throws Error if a patch does not fit: a mutant that changes nothing would survive unnoticed */
  async build(name: string, patches: readonly SourcePatch[]): Promise<LoadModule> {
    const target = this.folderOf(name);
    const unused = new Set(patches);
    for (const part of this.parts) {
      await mkdir(join(target, part), { recursive: true });
      for (const entry of await readdir(join('lib', part))) {
        if (!entry.endsWith('.ts')) continue;
        const file = `${part}/${entry}`;
        const own = patches.filter((patch) => patch.file === file);
        for (const patch of own) unused.delete(patch);
        const isShared = file === SHARED && own.length === 0 && !this.isOfOtherProcesses;
        const text = isShared ? sharedErrors() : await this.compile(name, file, own);
        await writeFile(join(target, file.replace(/ts$/, 'js')), text);
      }
    }
    for (const { file } of unused) throw new Error(`${name}: there is no lib/${file}`);
    return (file) => import(pathToFileURL(join(target, file.replace(/ts$/, 'js'))).href);
  }

  /** Where a copy is. */
  folderOf(name: string): string {
    return join(this.folder, name.replace(/\W+/g, '-'));
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  private async compile(
    name: string,
    file: string,
    patches: readonly SourcePatch[],
  ): Promise<string> {
    const known = this.compiled.get(file);
    if (patches.length === 0 && known !== undefined) return known;
    const source = await readFile(join('lib', file), 'utf8');
    const text = compile(patches.reduce((rest, patch) => exchange(name, rest, patch), source));
    if (patches.length === 0) this.compiled.set(file, text);
    return text;
  }
}

/** As compiled, or as the source when a test runs it. */
function sharedErrors(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const url = new URL(`../../lib/core/errors.${extension}`, import.meta.url);
  return `export * from ${JSON.stringify(url.href)};`;
}

function exchange(name: string, source: string, { file, from, to }: SourcePatch): string {
  const parts = source.split(from);
  if (parts.length === 2) return parts.join(to);
  throw new Error(`mutant ${name}: lib/${file} has this text ${parts.length - 1} times: ${from}`);
}

function compile(source: string): string {
  return ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  }).outputText;
}
