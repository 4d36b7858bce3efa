import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { loadYaml } from '@kubernetes/client-node';
import type { PolicyRule } from '../../proof/control-plane/access-control.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster } from '../../proof/fleet/election-cluster.js';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';
import { NodeProgram } from '../../proof/fleet/node-program.js';
import { readmeRole } from '../../proof/fleet/readme-role.js';
import type { OnceSettings } from './support/once-application.js';

const PROGRAM = fileURLToPath(
  new URL('../../.tools/test/e2e/support/once-application.js', import.meta.url),
);

interface ToldEvent {
  readonly event: 'starting' | 'started' | 'finished' | 'listening' | 'not-started';
  readonly identity?: string;
  readonly attempt?: number;
  readonly record?: object;
  readonly code?: string;
  readonly message?: string;
}

/** One process of the application. */
class Replica extends NodeProgram {
  readonly events: ToldEvent[] = [];

  constructor(name: string, settings: OnceSettings) {
    super({ name, program: PROGRAM, env: { ONCE_SETTINGS: JSON.stringify(settings) } });
  }

  has(kind: ToldEvent['event']): boolean {
    return this.events.some(({ event }) => event === kind);
  }

  async event(kind: ToldEvent['event']): Promise<ToldEvent> {
    await this.until(`"${kind}"`, () => this.has(kind));
    return this.events.find(({ event }) => event === kind)!;
  }

  protected override heard(line: string): void {
    if (line.startsWith('{"event":')) this.events.push(JSON.parse(line) as ToldEvent);
  }
}

/** The rules that docs/scheduling.md tells people to add, beside those of the README, for a lease of another name. */
function rulesFor(leaseName: string): PolicyRule[] {
  const page = readFileSync('docs/scheduling.md', 'utf8').split('### What it needs')[1]!;
  const [, added] = /```yaml\n([\s\S]*?)```/.exec(page)!;
  const election = readmeRole();
  const renamed = (text: string, from: string): PolicyRule[] =>
    JSON.parse(text.replaceAll(from, leaseName)) as PolicyRule[];
  return [
    ...renamed(JSON.stringify(election.rules), election.leaseName),
    ...renamed(JSON.stringify(loadYaml<PolicyRule[]>(added!)), 'billing'),
  ];
}

function rulesOn(lock: 'lease' | 'config-map', leaseName: string): PolicyRule[] {
  const rules = rulesFor(leaseName);
  if (lock === 'lease') return rules;
  return rules.map((rule) => ({ ...rule, apiGroups: [''], resources: ['configmaps'] }));
}

let cluster: ElectionCluster;
let directory: string;
let replicas: Replica[];
let leases = 0;

beforeAll(async () => {
  cluster = await ElectionCluster.start();
}, FIRST_START_LIMIT_MS);

afterAll(() => cluster?.stop());

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'once-'));
  replicas = [];
});

afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.kill()));
  rmSync(directory, { recursive: true, force: true });
});

describe.each(['file', 'lease', 'config-map'] as const)(
  'when three replicas migrate on a %s lock',
  (lock) => {
    let place: Pick<OnceSettings, 'leaseName' | 'lock' | 'lockDirectory' | 'kubeConfigFile'>;

    beforeEach(async () => {
      const leaseName = `once-${(leases += 1)}`;
      place =
        lock === 'file'
          ? { leaseName, lockDirectory: directory }
          : {
              leaseName,
              kubeConfigFile: await cluster.addAccount(leaseName, rulesOn(lock, leaseName)),
              lock,
            };
    });

    function start(
      version: string,
      onInterrupted: OnceSettings['onInterrupted'] = 'fail',
      count = 3,
    ): Replica[] {
      const started = Array.from({ length: count }, (_, index) => {
        const name = `${version}-${replicas.length + index}`;
        return new Replica(name, { ...place, version, onInterrupted, finishFile: finish(version) });
      });
      replicas.push(...started);
      return started;
    }

    const finish = (version: string): string => join(directory, `finish-${version}`);
    const endMigrations = (version: string): void => writeFileSync(finish(version), '');

    /** The one of them that runs the migration, while the others wait. */
    async function runnerOf(started: readonly Replica[]): Promise<Replica> {
      await Promise.all(started.map((replica) => replica.event('starting')));
      const giveUpAt = monotonicMs() + 60_000;
      for (;;) {
        const runner = started.find((replica) => replica.has('started'));
        if (runner !== undefined) return runner;
        if (monotonicMs() > giveUpAt)
          throw new Error(started.map((each) => each.said()).join('\n'));
        await delay(20);
      }
    }

    const runsOf = (started: readonly Replica[]): number =>
      started.flatMap(({ events }) => events).filter(({ event }) => event === 'started').length;

    it('runs once while the others wait, a second version runs again, and a rollback does not', async () => {
      const fourth = start('4');
      const runner = await runnerOf(fourth);
      expect(fourth.filter((replica) => replica.has('listening'))).toEqual([]);
      endMigrations('4');
      const told = await Promise.all(fourth.map((replica) => replica.event('listening')));
      expect(runsOf(fourth)).toBe(1);
      const { identity } = await runner.event('starting');
      for (const { record } of told) {
        expect(record).toMatchObject({
          version: '4',
          state: 'succeeded',
          holderIdentity: identity,
        });
      }

      // As in a rolling update: the old replicas are there, and one of them leads, until the new ones are ready.
      const fifth = start('5');
      await runnerOf(fifth);
      expect(fifth.filter((replica) => replica.has('listening'))).toEqual([]);
      endMigrations('5');
      await Promise.all(fifth.map((replica) => replica.event('listening')));
      expect(runsOf(fifth)).toBe(1);

      const rolledBack = start('4');
      await Promise.all(rolledBack.map((replica) => replica.event('listening')));
      expect(runsOf(rolledBack)).toBe(0);
    });

    it("is over for all if the one that runs it is killed with onInterrupted 'fail'", async () => {
      const started = start('4');
      const runner = await runnerOf(started);
      const { identity } = await runner.event('starting');
      await runner.kill();
      const others = started.filter((replica) => replica !== runner);
      const restarted = start('4', 'fail', 1);
      for (const replica of [...others, ...restarted]) {
        expect(await replica.event('not-started')).toMatchObject({
          code: 'ERR_ONCE_FAILED',
          message: expect.stringContaining(`replica ${identity} started it at`),
        });
      }
      expect(runsOf(replicas)).toBe(1);

      const next = start('5');
      await runnerOf(next);
      endMigrations('5');
      await Promise.all(next.map((replica) => replica.event('listening')));
      expect(runsOf(next)).toBe(1);
    });

    it("runs in another if the one that runs it is killed with onInterrupted 'rerun'", async () => {
      const started = start('4', 'rerun');
      const runner = await runnerOf(started);
      await runner.kill();
      const others = started.filter((replica) => replica !== runner);
      const next = await runnerOf(others);
      expect(await next.event('started')).toMatchObject({ attempt: 2 });
      endMigrations('4');
      const restarted = start('4', 'rerun', 1);
      await Promise.all([...others, ...restarted].map((replica) => replica.event('listening')));
      expect(runsOf(replicas)).toBe(2);
    });
  },
);
