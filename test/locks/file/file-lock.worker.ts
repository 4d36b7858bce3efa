import { setTimeout as sleep } from 'node:timers/promises';
import type { LeaseRecord, ObservedLease } from '../../../lib/core/lease-record.js';
import type { WriteOutcome } from '../../../lib/core/resource-lock.js';
import { FileLock } from '../../../lib/locks/file/lease-files.js';
import {
  type LeaseFileSystem,
  localFileSystem,
} from '../../../lib/locks/file/system-call-failure.js';

/** Runs as a process of its own (see file-lock.processes.ts): one candidate that does what its task says. */
export type WorkerTask =
  | { readonly kind: 'hold' }
  | { readonly kind: 'hold-then-close' }
  | { readonly kind: 'stand-by' }
  | { readonly kind: 'stand-by-then-close' }
  | { readonly kind: 'compete' }
  | { readonly kind: 'increment'; readonly times: number }
  | { readonly kind: 'write'; readonly fault: WriteFault | null }
  | { readonly kind: 'sleep-before'; readonly call: 'writeFile' | 'link' };

/** The process kills itself before, after or in the middle of the nth system call of a write. */
export interface WriteFault {
  readonly call: number;
  readonly at: 'before' | 'within' | 'after';
}

export interface WorkerOrder {
  readonly directory: string;
  readonly identity: string;
  readonly task: WorkerTask;
}

export type WorkerReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly outcome: string; readonly calls: readonly string[] }
  | { readonly kind: 'incremented'; readonly applied: number; readonly outcomes: string[] };

export const WORKER_LEASE = { namespace: 'plans', leaseName: 'plan-scheduler' };

const { directory, identity, task } = JSON.parse(process.argv[2] ?? '') as WorkerOrder;
const told = new Promise<void>((resolve) => process.once('message', () => resolve()));

await perform(task);

async function perform(task: WorkerTask): Promise<void> {
  switch (task.kind) {
    case 'hold':
    case 'hold-then-close':
      return hold(task.kind === 'hold-then-close');
    case 'stand-by':
    case 'stand-by-then-close':
      return standBy(task.kind === 'stand-by-then-close');
    case 'compete':
      return compete();
    case 'increment':
      return increment(task.times);
    case 'write':
      return writeWithFault(task.fault);
    case 'sleep-before':
      return sleepBefore(task.call);
  }
}

async function hold(closes: boolean): Promise<void> {
  const lock = lockOn(localFileSystem);
  await write(lock);
  if (closes) await lock.close();
  report({ kind: 'ready' });
  await told;
  process.disconnect();
}

async function standBy(closes: boolean): Promise<void> {
  const lock = lockOn(localFileSystem);
  let close = () => undefined as void;
  const opened = new Promise<void>((resolve) => {
    const ignore = () => undefined;
    const observer = { opened: resolve, changed: ignore, holderDied: ignore, interrupted: ignore };
    const watch = lock.watch(observer, { silenceLimitMs: 1000 });
    close = () => watch.close();
  });
  await opened;
  report({ kind: 'ready' });
  await told;
  if (closes) {
    close();
    await lock.close();
  }
  process.disconnect();
}

async function compete(): Promise<void> {
  const source = lockOn(localFileSystem).competitors();
  await new Promise<void>((resolve, reject) =>
    source.start({ members: () => resolve(), unknown: reject }),
  );
  report({ kind: 'ready' });
  await told;
  await source.close();
  process.disconnect();
}

async function increment(times: number): Promise<void> {
  const lock = lockOn(localFileSystem);
  const outcomes: string[] = [];
  let applied = 0;
  report({ kind: 'ready' });
  await told;
  while (applied < times) {
    const lease = await read(lock);
    if (lease === null) throw new Error('the lease vanished');
    const { kind } = await lock.replace(
      { ...lease.record, leaseTransitions: lease.record.leaseTransitions + 1 },
      lease,
      request(),
    );
    outcomes.push(kind);
    if (kind === 'applied') applied++;
    else await sleep(Math.random() * 2);
  }
  report({ kind: 'incremented', applied, outcomes });
  process.disconnect();
}

async function writeWithFault(fault: WriteFault | null): Promise<void> {
  const calls: string[] = [];
  const files = intercepted(async (name, call, args) => {
    calls.push(name);
    const isIt = fault?.call === calls.length;
    if (isIt && fault.at === 'before') return die();
    if (isIt && fault.at === 'within' && name === 'writeFile') {
      const [path, text] = args as [string, string];
      await localFileSystem.writeFile(path, text.slice(0, text.length / 2));
      return die();
    }
    try {
      return await call();
    } finally {
      // Also after one that failed: a look at a directory that is not there yet is one.
      if (isIt) await die();
    }
  });
  // The expectation comes from a lock without faults: only the calls of the write count.
  const expected = await read(lockOn(localFileSystem));
  const outcome = await write(lockOn(files), expected);
  report({ kind: 'done', outcome: outcome.kind, calls });
  process.disconnect();
}

async function sleepBefore(sleepingCall: string): Promise<void> {
  const files = intercepted(async (name, call) => {
    if (name === sleepingCall) {
      report({ kind: 'ready' });
      await told;
    }
    return call();
  });
  const outcome = await write(lockOn(files), await read(lockOn(localFileSystem)));
  report({ kind: 'done', outcome: outcome.kind, calls: [] });
  process.disconnect();
}

function lockOn(files: LeaseFileSystem): FileLock {
  return new FileLock({ directory }, { ...WORKER_LEASE, identity }, files);
}

async function write(lock: FileLock, expected?: ObservedLease | null): Promise<WriteOutcome> {
  const stored = expected === undefined ? await read(lock) : expected;
  const record: LeaseRecord = {
    holderIdentity: identity,
    leaseDurationSeconds: 15,
    acquireTimeMicros: 1_000_000,
    renewTimeMicros: 1_000_000,
    leaseTransitions: (stored?.record.leaseTransitions ?? 0) + 1,
    releasedTransitions: null,
  };
  return stored === null ? lock.create(record, request()) : lock.replace(record, stored, request());
}

async function read(lock: FileLock): Promise<ObservedLease | null> {
  const outcome = await lock.read(request());
  if (outcome.kind === 'failed') throw outcome.error;
  return outcome.kind === 'found' ? outcome.stored : null;
}

function request() {
  return { timeoutMs: 60_000, signal: new AbortController().signal };
}

function report(message: WorkerReport): void {
  process.send?.(message);
}

function die(): Promise<never> {
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => undefined);
}

type Interceptor = (
  name: string,
  call: () => Promise<unknown>,
  args: unknown[],
) => Promise<unknown>;

function intercepted(intercept: Interceptor): LeaseFileSystem {
  return new Proxy(localFileSystem, {
    get: (target, name: keyof LeaseFileSystem) => {
      const method = target[name] as (...args: unknown[]) => Promise<unknown>;
      return (...args: unknown[]) => intercept(name, () => method(...args), args);
    },
  });
}
