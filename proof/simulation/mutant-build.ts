import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import type { LeaderElector } from '../../lib/elector/leader-elector.js';
import type { Mutant, SourcePatch } from './mutant.js';
import type { Engine } from './world.js';

/** The part of the library that the simulation drives. */
const PARTS = ['core', 'elector'];

/** Copies of the library in which one text is exchanged, compiled in a temporary folder. */
export class MutantBuild {
  private constructor(private readonly folder: string) {}

  static async open(): Promise<MutantBuild> {
    const folder = await mkdtemp(join(tmpdir(), 'election-mutants-'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    return new MutantBuild(folder);
  }

  async engineOf(mutant: Mutant): Promise<Engine> {
    const target = join(this.folder, mutant.name);
    const unused = new Set(mutant.patches);
    for (const part of PARTS) {
      await mkdir(join(target, part), { recursive: true });
      for (const name of await readdir(join('lib', part))) {
        if (!name.endsWith('.ts')) continue;
        const file = `${part}/${name}`;
        const source = await readFile(join('lib', file), 'utf8');
        const patches = mutant.patches.filter((patch) => patch.file === file);
        for (const patch of patches) unused.delete(patch);
        const patched = patches.reduce((text, patch) => exchange(mutant, text, patch), source);
        await writeFile(join(target, file.replace(/ts$/, 'js')), compile(patched));
      }
    }
    for (const patch of unused) throw new Error(`${mutant.name}: there is no lib/${patch.file}`);
    const url = pathToFileURL(join(target, 'elector', 'leader-elector.js')).href;
    const module = (await import(url)) as { LeaderElector: typeof LeaderElector };
    return { LeaderElector: module.LeaderElector, sabotage: mutant.sabotage ?? {} };
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Fails when the library no longer has the text: a mutant that changes nothing would survive unnoticed. */
function exchange({ name }: Mutant, source: string, { file, from, to }: SourcePatch): string {
  const parts = source.split(from);
  if (parts.length !== 2) {
    throw new Error(`mutant ${name}: lib/${file} has this text ${parts.length - 1} times: ${from}`);
  }
  return parts.join(to);
}

function compile(source: string): string {
  return ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  }).outputText;
}
