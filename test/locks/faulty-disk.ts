import type { StoreFixture } from '../../lib/contracts/lock-fixture.js';
import { type LeaseFileSystem, localFileSystem } from '../../lib/locks/file/system-call-failure.js';

/** A disk that reports an error after the write that counts, or at every call. */
export class FaultyDisk {
  readonly calls: LeaseFileSystem;
  readonly faults: Required<Pick<StoreFixture, 'loseAnswer' | 'interrupt'>> = {
    loseAnswer: async () => void (this.losesAnswer = true),
    interrupt: async () => {
      this.isAway = true;
      return async () => void (this.isAway = false);
    },
  };
  private isAway = false;
  private losesAnswer = false;

  constructor() {
    const names = Object.keys(CALLS) as (keyof LeaseFileSystem)[];
    const faulty = names.map((name) => [name, this.faulty(name)]);
    this.calls = Object.fromEntries(faulty) as LeaseFileSystem;
  }

  private faulty(name: keyof LeaseFileSystem) {
    const call = localFileSystem[name] as (...args: unknown[]) => Promise<unknown>;
    return async (...args: unknown[]): Promise<unknown> => {
      if (this.isAway) throw failure(name);
      const result = await call(...args);
      if (name !== 'link' || !this.losesAnswer) return result;
      this.losesAnswer = false;
      throw failure(name);
    };
  }
}

const CALLS: Readonly<Record<keyof LeaseFileSystem, true>> = {
  link: true,
  lstat: true,
  lutimes: true,
  mkdir: true,
  readdir: true,
  readFile: true,
  stat: true,
  unlink: true,
  writeFile: true,
};

function failure(name: string): Error {
  return Object.assign(new Error(`EIO: i/o error, ${name}`), { code: 'EIO' });
}
