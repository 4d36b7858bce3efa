import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReplicaSlot } from '../fleet/replica-slot.js';
import type { ReplicaProcess } from './replica-process.js';

const LIBRARY = 'faketime/libfaketime.so.1';

/**
 * Steps of the wall clock that one replica sees: by libfaketime where it is installed, which leaves the monotonic clock
 * alone; else the replica replaces its own `Date.now`.
 */
export class WallClockSteps {
  readonly library = findLibrary();
  private readonly offsets = new Map<ReplicaSlot<ReplicaProcess>, number>();

  constructor(private readonly directory: string) {}

  /** What the processes of a slot are to be started with. The file is the slot's, so that steps outlive a process. */
  env(slotName: string): NodeJS.ProcessEnv {
    if (this.library === undefined) return {};
    const file = this.fileOf(slotName);
    if (!existsSync(file)) writeFileSync(file, '+0\n');
    return {
      LD_PRELOAD: this.library,
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
      FAKETIME_TIMESTAMP_FILE: file,
    };
  }

  step(slot: ReplicaSlot<ReplicaProcess>, byMs: number): void {
    if (this.library === undefined) {
      slot.process.order({ kind: 'step-wall-clock', ms: byMs });
      return;
    }
    const offset = (this.offsets.get(slot) ?? 0) + byMs;
    this.offsets.set(slot, offset);
    const seconds = offset / 1_000;
    writeFileSync(this.fileOf(slot.name), `${seconds < 0 ? '' : '+'}${seconds}\n`);
  }

  private fileOf(slotName: string): string {
    return join(this.directory, `${slotName}.faketime`);
  }
}

/** Where distributions put it, or what `LIBFAKETIME` names. */
function findLibrary(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const { LIBFAKETIME: named } = process.env;
  if (named) return named;
  const folders = ['/usr/lib', '/usr/local/lib', '/usr/lib64'].filter(existsSync);
  return folders
    .flatMap((folder) => [folder, ...readdirSync(folder).map((below) => join(folder, below))])
    .map((folder) => join(folder, LIBRARY))
    .find(existsSync);
}
