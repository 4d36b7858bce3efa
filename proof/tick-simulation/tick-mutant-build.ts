import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import type { ScheduleLedger } from '../../lib/schedule/ledger/schedule-ledger.js';
import type { RoleSchedule } from '../../lib/schedule/runner/role-schedule.js';
import type { ScheduleEngine } from './simulated-process.js';
import type { TickMutant } from './tick-mutants.js';

/** The folders of the library that the simulation drives. */
const PARTS = ['core', 'elector', 'schedule/ledger', 'schedule/runner', 'schedule/tick'];

/** Copies of the library in which one text is exchanged, compiled in a temporary folder. */
export class TickMutantBuild {
  /** Most files are the same in every mutant. */
  private readonly compiled = new Map<string, string>();

  private constructor(private readonly folder: string) {}

  static async open(): Promise<TickMutantBuild> {
    const folder = await mkdtemp(join(tmpdir(), 'tick-mutants-'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    return new TickMutantBuild(folder);
  }

  async engineOf({ name, patch }: TickMutant): Promise<ScheduleEngine> {
    const target = join(this.folder, name.replace(/\W+/g, '-'));
    for (const part of PARTS) {
      await mkdir(join(target, part), { recursive: true });
      for (const file of await readdir(join('lib', part))) {
        if (!file.endsWith('.ts')) continue;
        const path = `${part}/${file}`;
        const source = await readFile(join('lib', path), 'utf8');
        const text =
          path === patch.file
            ? compile(exchange(name, source, patch))
            : (this.compiled.get(path) ?? compile(source));
        if (path !== patch.file) this.compiled.set(path, text);
        await writeFile(join(target, path.replace(/ts$/, 'js')), text);
      }
    }
    const load = (file: string): Promise<unknown> =>
      import(pathToFileURL(join(target, 'schedule', file)).href);
    const role = (await load('runner/role-schedule.js')) as { RoleSchedule: typeof RoleSchedule };
    const ledger = (await load('ledger/schedule-ledger.js')) as {
      ScheduleLedger: typeof ScheduleLedger;
    };
    return { RoleSchedule: role.RoleSchedule, ScheduleLedger: ledger.ScheduleLedger };
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Fails when the library no longer has the text: a mutant that changes nothing would survive unnoticed. */
function exchange(name: string, source: string, { file, from, to }: TickMutant['patch']): string {
  const parts = source.split(from);
  if (parts.length === 2) return parts.join(to);
  throw new Error(`mutant ${name}: lib/${file} has this text ${parts.length - 1} times: ${from}`);
}

function compile(source: string): string {
  return ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  }).outputText;
}
