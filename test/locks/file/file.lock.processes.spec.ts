import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ObservedLease } from '../../../lib/core/lease-record.js';
import { FileLock } from '../../../lib/locks/file/lease-files.js';
import { eventually } from '../../../proof/api-emulator/eventually.js';
import { held } from '../lease-records.js';
import { request } from '../lock-request.js';
import { RecordedWatch } from '../recorded-watch.js';
import { FileLockProcesses } from './file-lock.processes.js';
import type { WorkerTask, WriteFault } from './file-lock.worker.js';

const LEASE = { namespace: 'plans', leaseName: 'plan-scheduler' };
const TIMEOUT_MS = 120_000;

describe('fileLock() among processes', () => {
  let processes: FileLockProcesses;
  let directory: string;
  let lock: FileLock;

  beforeAll(async () => {
    processes = await FileLockProcesses.compile();
  }, TIMEOUT_MS);
  afterAll(() => processes?.dispose());

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'file-lock-'));
    lock = new FileLock({ directory }, { ...LEASE, identity: 'survivor' });
  });
  afterEach(async () => {
    await processes.killAll();
    await lock.close();
    await rm(directory, { recursive: true });
  });

  const start = (task: WorkerTask, identity = 'worker') =>
    processes.start({ directory, identity, task });
  const read = async () => {
    const outcome = await lock.read(request());
    if (outcome.kind === 'failed') throw outcome.error;
    return outcome.kind === 'found' ? outcome.stored : null;
  };
  const take = async () => {
    const lease = await read();
    const record = held('survivor', {
      leaseTransitions: (lease?.record.leaseTransitions ?? 0) + 1,
    });
    const outcome =
      lease === null
        ? await lock.create(record, request())
        : await lock.replace(record, lease, request());
    if (outcome.kind !== 'applied') throw new Error(outcome.kind);
    return outcome.stored;
  };
  const leftovers = async () =>
    (await readdir(join(directory, 'plans.plan-scheduler'))).filter((name) =>
      name.endsWith('.tmp'),
    );
  const follow = async (of: FileLock = lock) => {
    const recorded = new RecordedWatch();
    const watch = of.watch(recorded, { silenceLimitMs: 15_000 });
    await recorded.until(({ openings }) => openings > 0);
    return { recorded, watch };
  };

  describe('when a writer is killed with SIGKILL at any system call', () => {
    /** Every so many writes touch a file more; that is no write to count by. */
    const callsOf = async (): Promise<readonly string[]> => {
      const writer = start({ kind: 'write', fault: null }, 'dry run');
      const report = await writer.report();
      if (report.kind !== 'done') throw new Error(report.kind);
      expect(report.outcome).toBe('applied');
      return report.calls.includes('lutimes') ? callsOf() : report.calls;
    };
    const faults = (calls: readonly string[]): WriteFault[] =>
      calls.flatMap((name, index) =>
        (['before', ...(name === 'writeFile' ? (['within'] as const) : []), 'after'] as const).map(
          (at) => ({ call: index + 1, at }),
        ),
      );
    const comesAfter = ({ call, at }: WriteFault, link: number) =>
      call > link || (call === link && at === 'after');
    const kill = async (fault: WriteFault) => {
      const writer = start({ kind: 'write', fault });
      expect(await writer.ended()).toBe('SIGKILL');
    };

    it(
      'leaves the old record or the new one, whole, and the next write goes through',
      async () => {
        // As many versions as stay, so that the first write makes the same calls as all that follow.
        for (let version = 0; version < 8; version++) await take();
        const calls = await callsOf();
        expect(calls).toContain('link');
        let applied = 0;
        for (const fault of faults(calls)) {
          const before = await take();
          await kill(fault);
          const isLinked = comesAfter(fault, calls.indexOf('link') + 1);
          const { leaseTransitions } = before.record;
          const expected = isLinked
            ? { holder: 'worker', leaseTransitions: leaseTransitions + 1 }
            : { holder: 'survivor', leaseTransitions };
          const { record, revision } = (await read())!;
          expect({ fault, holder: record.holderIdentity, ...record }).toMatchObject({
            fault,
            ...expected,
          });
          expect(revision).toBe(before.revision + (isLinked ? 1n : 0n));
          if (isLinked) applied++;
          await take();
          expect(await leftovers()).toEqual([]);
        }
        expect(applied).toBeGreaterThan(3);
      },
      TIMEOUT_MS,
    );

    it(
      'leaves no lease or a whole one where there was none',
      async () => {
        const calls = await callsOf();
        for (const fault of faults(calls)) {
          await rm(join(directory, 'plans.plan-scheduler'), { recursive: true, force: true });
          await kill(fault);
          const exists = comesAfter(fault, calls.indexOf('link') + 1);
          const lease = await read();
          expect(lease?.record.holderIdentity).toBe(exists ? 'worker' : undefined);
          expect((await take()).record.holderIdentity).toBe('survivor');
          expect(await leftovers()).toEqual([]);
        }
      },
      TIMEOUT_MS,
    );
  });

  describe('when many processes write at once', () => {
    it(
      'loses no write and reports every outcome as it is',
      async () => {
        const [candidates, times] = [5, 60];
        await take();
        const workers = Array.from({ length: candidates }, (_, index) =>
          start({ kind: 'increment', times }, `worker-${index}`),
        );
        for (const worker of workers) expect(await worker.report()).toEqual({ kind: 'ready' });
        for (const worker of workers) worker.goOn();
        const outcomes = new Set<string>();
        for (const worker of workers) {
          const report = await worker.report();
          if (report.kind !== 'incremented') throw new Error(report.kind);
          for (const outcome of report.outcomes) outcomes.add(outcome);
        }
        expect([...outcomes].sort()).toEqual(['applied', 'conflict']);
        expect((await read())?.record.leaseTransitions).toBe(1 + candidates * times);
        await take();
        expect(await leftovers()).toEqual([]);
      },
      TIMEOUT_MS,
    );
  });

  describe('when a writer is stopped between its read and its link', () => {
    const stoppedWriter = async (call: 'writeFile' | 'link' = 'link') => {
      const writer = start({ kind: 'sleep-before', call });
      expect(await writer.report()).toEqual({ kind: 'ready' });
      writer.signal('SIGSTOP');
      return writer;
    };
    const resumed = async (writer: Awaited<ReturnType<typeof stoppedWriter>>) => {
      writer.signal('SIGCONT');
      writer.goOn();
      const report = await writer.report();
      return report.kind === 'done' ? report.outcome : report.kind;
    };

    const newerVersions = [1, 2, 4, 5, 6, 20];
    it.each(
      newerVersions.flatMap((count) => [
        { count, call: 'writeFile' as const },
        { count, call: 'link' as const },
      ]),
    )(
      'learns of a conflict after $count newer versions (before $call)',
      async ({ count, call }) => {
        await take();
        const writer = await stoppedWriter(call);
        let newest: ObservedLease | undefined;
        for (let write = 0; write < count; write++) newest = await take();
        expect(await resumed(writer)).toBe('conflict');
        expect(await read()).toEqual(newest);
        expect(await leftovers()).toEqual([]);
      },
    );

    it('still writes when nothing happened meanwhile', async () => {
      await take();
      const writer = await stoppedWriter();
      expect(await resumed(writer)).toBe('applied');
      expect((await read())?.record.holderIdentity).toBe('worker');
    });

    it('does not bring back a lease that was deleted meanwhile', async () => {
      await take();
      const writer = await stoppedWriter();
      await rm(join(directory, 'plans.plan-scheduler'), { recursive: true });
      expect(await resumed(writer)).toBe('absent');
      expect(await read()).toBeNull();
    });

    it('does not bring it back where the writer alone was left over', async () => {
      await take();
      const writer = await stoppedWriter();
      const leaseDirectory = join(directory, 'plans.plan-scheduler');
      for (const name of await readdir(leaseDirectory)) {
        if (name.endsWith('.json')) await rm(join(leaseDirectory, name));
      }
      expect(await resumed(writer)).toBe('absent');
      expect(await read()).toBeNull();
      const made = await take();
      expect(await read()).toEqual(made);
    });

    it('does not disturb a lease that was made anew meanwhile', async () => {
      await take();
      const writer = await stoppedWriter();
      const leaseDirectory = join(directory, 'plans.plan-scheduler');
      for (const name of await readdir(leaseDirectory)) {
        if (name.endsWith('.json')) await rm(join(leaseDirectory, name));
      }
      const made = await take();
      expect(await resumed(writer)).toBe('conflict');
      expect(await read()).toEqual(made);
    });

    it('makes no second lease when another was created meanwhile', async () => {
      const writer = await stoppedWriter();
      const made = await take();
      expect(await resumed(writer)).toBe('conflict');
      expect(await read()).toEqual(made);
    });
  });

  describe('when the holder dies', () => {
    it('is known to a standby that watched it', async () => {
      const holder = start({ kind: 'hold' });
      await holder.report();
      const { recorded, watch } = await follow();
      const lease = (await read())!;
      holder.signal('SIGKILL');
      await recorded.until(({ deaths }) => deaths.length > 0);
      expect(recorded.deaths).toEqual([lease.timingKey]);
      expect(recorded.last?.lease?.timingKey).toBe(lease.timingKey);
      watch.close();
    });

    it('is known to a standby that watched it when it ends in order', async () => {
      const holder = start({ kind: 'hold' });
      await holder.report();
      const { recorded, watch } = await follow();
      holder.goOn();
      expect(await holder.ended()).toBe(0);
      await recorded.until(({ deaths }) => deaths.length > 0);
      watch.close();
    });

    it('is known also where the path is too long for the address of a socket', async () => {
      const long = join(directory, 'x'.repeat(120));
      const holder = processes.start({
        directory: long,
        identity: 'worker',
        task: { kind: 'hold' },
      });
      await holder.report();
      const standby = new FileLock({ directory: long }, { ...LEASE, identity: 'standby' });
      const { recorded, watch } = await follow(standby);
      holder.signal('SIGKILL');
      await recorded.until(({ deaths }) => deaths.length > 0);
      expect(recorded.deaths).toEqual([recorded.last?.lease?.timingKey]);
      watch.close();
      await standby.close();
    });

    // Elsewhere a refused connection alone is no proof.
    if (process.platform === 'linux')
      it('is known to a standby that comes later', async () => {
        const holder = start({ kind: 'hold' });
        await holder.report();
        holder.signal('SIGKILL');
        await holder.ended();
        const { recorded, watch } = await follow();
        await recorded.until(({ deaths }) => deaths.length > 0);
        expect(recorded.deaths).toEqual([(await read())?.timingKey]);
        watch.close();
      });

    it('leaves a socket file that the next holder removes', async () => {
      const holder = start({ kind: 'hold' });
      await holder.report();
      const [stale] = await readdir(join(directory, 's'));
      holder.signal('SIGKILL');
      await holder.ended();
      expect(await readdir(join(directory, 's'))).toEqual([stale]);
      await take();
      const sockets = await readdir(join(directory, 's'));
      expect(sockets).toHaveLength(1);
      expect(sockets).not.toContain(stale);
    });
  });

  describe('when a competitor is killed', () => {
    it('is a member until the kernel has ended it, stopped or not, and leaves no file for good', async () => {
      const source = lock.competitors();
      let members: string[] = [];
      source.start({
        members: (list) => (members = list.map(({ name }) => name).toSorted()),
        unknown: () => (members = []),
      });
      const worker = start({ kind: 'compete' });
      await worker.report();
      await eventually(() => expect(members).toEqual(['survivor', 'worker']));
      worker.signal('SIGSTOP');
      const late = start({ kind: 'compete' }, 'late');
      await late.report();
      await eventually(() => expect(members).toEqual(['late', 'survivor', 'worker']));
      worker.signal('SIGKILL');
      await eventually(() => expect(members).toEqual(['late', 'survivor']));
      await eventually(async () => {
        expect(await readdir(join(directory, 's'))).toHaveLength(2);
      }, 20_000);
      await source.close();
    });
  });

  describe('when the holder lives', () => {
    /** A renewal as the holder would write it: after it, watches have had their look at the holder once more. */
    const renewByHand = async (...standbys: RecordedWatch[]) => {
      const lease = (await read())!;
      const { text } = lease.source as { text: string };
      const revision = lease.revision + 1n;
      const path = join(directory, 'plans.plan-scheduler', `${revision}.${lease.uid}.json`);
      await writeFile(path, text.replace('"renewTime": "1970', '"renewTime": "1971'));
      for (const standby of standbys) {
        await standby.until(({ last }) => last?.revision === revision);
      }
    };

    it('is not taken for dead when it is stopped, until it is killed', async () => {
      const holder = start({ kind: 'hold' });
      await holder.report();
      const early = await follow();
      holder.signal('SIGSTOP');
      const late = await follow();
      await renewByHand(early.recorded, late.recorded);
      expect([...early.recorded.deaths, ...late.recorded.deaths]).toEqual([]);
      holder.signal('SIGKILL');
      for (const { recorded, watch } of [early, late]) {
        await recorded.until(({ deaths }) => deaths.length > 0);
        expect(recorded.deaths).toEqual([(await read())?.timingKey]);
        watch.close();
      }
    });

    it('is not taken for dead when it closed its lock without a release, until it ends', async () => {
      const holder = start({ kind: 'hold-then-close' });
      await holder.report();
      const { recorded, watch } = await follow();
      const late = await follow();
      await renewByHand(recorded, late.recorded);
      expect([...recorded.deaths, ...late.recorded.deaths]).toEqual([]);
      holder.goOn();
      expect(await holder.ended()).toBe(0);
      await recorded.until(({ deaths }) => deaths.length > 0);
      watch.close();
      late.watch.close();
    });
  });

  describe('when a standby only watches', () => {
    it('lets the process end, connected to a live holder or not', async () => {
      const alone = start({ kind: 'stand-by' });
      await alone.report();
      alone.goOn();
      expect(await alone.ended()).toBe(0);
      const holder = start({ kind: 'hold' });
      await holder.report();
      const connected = start({ kind: 'stand-by' });
      await connected.report();
      connected.goOn();
      expect(await connected.ended()).toBe(0);
    });
  });

  describe('when everything is closed', () => {
    it.each(['hold', 'hold-then-close', 'stand-by-then-close'] as const)(
      'lets the process end (%s)',
      async (kind) => {
        const candidate = start({ kind });
        await candidate.report();
        candidate.goOn();
        expect(await candidate.ended()).toBe(0);
      },
    );
  });
});
