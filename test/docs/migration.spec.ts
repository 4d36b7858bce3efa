import { type INestApplication, Injectable, type Type } from '@nestjs/common';
import { Cron, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import {
  LeaderOnly,
  type LeaderElectionModuleOptions,
  LeadershipService,
  OnGranted,
  OnRevoked,
  type Term,
} from '../../lib/index.js';
import { Elections } from '../nest/support/elections.js';

/** No timer of a test fires by itself. */
const NEVER = '0 0 29 2 *';
const JOB = 'invoices';

/** Which releases ran the tick that is tried, and the keys that are taken: in Redis, or by leases of @nestjs/locks. */
const world = { ran: [] as string[], taken: new Map<string, object>() };

/** As `SET key owner NX`: of all who ask in one tick, the first. It expires before the next tick. */
function takesRedisLock(owner: object): boolean {
  if (world.taken.has('redis')) return false;
  world.taken.set('redis', owner);
  return true;
}

/** As @OnOneInstance() is documented: who takes the lease at a tick keeps it for as long as the process is up. */
function ownsOldLease(owner: object): boolean {
  if (!world.taken.has('lease')) world.taken.set('lease', owner);
  return world.taken.get('lease') === owner;
}

function handBackOldLease(owner: object): void {
  if (world.taken.get('lease') === owner) world.taken.delete('lease');
}

@Injectable()
class LockedJob {
  @Cron(NEVER, { name: JOB })
  send(): void {
    if (takesRedisLock(this)) world.ran.push('with a lock');
  }
}

@Injectable()
class LeaderJob {
  @Cron(NEVER, { name: JOB })
  send(): void {
    world.ran.push('as leader');
  }
}

@Injectable()
class OwnedJob {
  @Cron(NEVER, { name: JOB })
  send(): void {
    if (ownsOldLease(this)) world.ran.push('as owner');
  }

  onModuleDestroy(): void {
    handBackOldLease(this);
  }
}

@Injectable()
class GatedOwnedJob extends OwnedJob {
  @LeaderOnly()
  @Cron(NEVER, { name: JOB })
  override send(): void {
    super.send();
  }
}

/** The job of step 2: the leader holds the lease of the old release, for which `acquire()` waits. */
@Injectable()
class OwningLeaderJob {
  private term: Term | undefined;

  @OnGranted()
  take(term: Term): void {
    this.term = term;
  }

  @OnRevoked()
  handBack(): void {
    this.term = undefined;
    handBackOldLease(this);
  }

  @LeaderOnly()
  @Cron(NEVER, { name: JOB })
  send(): void {
    if (this.isHeld) world.ran.push('as leader that owns');
  }

  /** `acquire()` tries again and again: here when it is asked. */
  private get isHeld(): boolean {
    return this.term !== undefined && ownsOldLease(this);
  }
}

interface Release {
  readonly job: Type<object>;
  readonly election?: Partial<LeaderElectionModuleOptions>;
}

const SHADOW = { gateSchedules: true, mode: 'shadow' } as const;
const ENFORCED = { gateSchedules: true };

let elections: Elections;
beforeEach(() => {
  elections = new Elections();
  world.ran.length = 0;
  world.taken.clear();
});
afterEach(() => elections.end());

async function podOf({ job, election }: Release): Promise<INestApplication> {
  const imports = election === undefined ? [] : [elections.module(election)];
  const pod = await elections.start({
    imports: [ScheduleModule.forRoot(), ...imports],
    providers: [job],
  });
  await elections.clock.settle();
  return pod;
}

/** Two pods of each release, of which one that is first leads where its release has an election. */
async function podsOf(...releases: readonly Release[]): Promise<INestApplication[]> {
  const pods: INestApplication[] = [];
  for (const release of [...releases, ...releases]) pods.push(await podOf(release));
  return pods;
}

/** What ran when the timers of all pods fire, in this order. */
async function tick(pods: readonly INestApplication[]): Promise<readonly string[]> {
  world.ran.length = 0;
  world.taken.delete('redis');
  for (const pod of pods) await pod.get(SchedulerRegistry).getCronJob(JOB).fireOnTick();
  return [...world.ran];
}

/** How often the work ran at ticks that the pods hear of in either order. */
async function runsOf(...releases: readonly Release[]): Promise<readonly number[]> {
  const pods = await podsOf(...releases);
  const ticks = [await tick(pods), await tick(pods.toReversed())];
  return ticks.map(({ length }) => length);
}

async function stop(pod: INestApplication): Promise<void> {
  const closed = pod.close();
  await elections.clock.advance(1_000);
  await closed;
}

describe('when a team comes from a lock for each run', () => {
  const STEPS: readonly Release[] = [
    { job: LockedJob },
    { job: LockedJob, election: SHADOW },
    { job: LockedJob, election: ENFORCED },
    { job: LeaderJob, election: ENFORCED },
  ];

  it.each([0, 1, 2])(
    'runs each tick once while pods of step %i and of the next run side by side, whichever leads',
    async (step) => {
      const [before, after] = [STEPS[step]!, STEPS[step + 1]!];
      expect([...(await runsOf(before, after))]).toEqual([1, 1]);
      elections = await anotherCluster();
      expect([...(await runsOf(after, before))]).toEqual([1, 1]);
    },
  );

  it('needs the step in which both decide: without it a tick runs twice', async () => {
    expect(await runsOf(STEPS[3]!, STEPS[1]!)).toEqual([2, 2]);
  });
});

describe('when a team comes from @OnOneInstance() of @nestjs/locks', () => {
  const OLD: Release = { job: OwnedJob, election: { mode: 'shadow', gateSchedules: true } };
  const BOTH: Release = { job: OwningLeaderJob, election: {} };
  const ALONE: Release = { job: LeaderJob, election: ENFORCED };

  it('runs each tick once while the old owner is up, and after it has handed over', async () => {
    const both = await podsOf(BOTH); // one of them leads, and has to wait for the old owner
    const old = await podOf(OLD);
    expect(await tick([old])).toEqual(['as owner']);
    expect(await tick([...both, old])).toEqual(['as owner']);
    await stop(old);
    expect(await tick(both)).toEqual(['as leader that owns']);
  });

  it('runs each tick once when leadership moves, as the lease of the old release moves with it', async () => {
    const [first, second] = (await podsOf(BOTH)) as [INestApplication, INestApplication];
    expect(await tick([first, second])).toEqual(['as leader that owns']);
    first.get(LeadershipService).stepDown({ cooldownMs: 600_000 });
    await elections.clock.advance(1_000);
    expect(second.get(LeadershipService).isLeader()).toBe(true);
    expect(await tick([first, second])).toEqual(['as leader that owns']);
  });

  it('would miss ticks if the job had both decorators', async () => {
    const gated: Release = { job: GatedOwnedJob, election: {} };
    const [first, second] = (await podsOf(gated)) as [INestApplication, INestApplication];
    expect(await tick([first, second])).toEqual(['as owner']);
    first.get(LeadershipService).stepDown({ cooldownMs: 600_000 });
    await elections.clock.advance(1_000);
    expect(await tick([first, second])).toEqual([]);
  });

  it('runs each tick once beside the release that has the election alone', async () => {
    expect(await runsOf(BOTH, ALONE)).toEqual([1, 1]);
    elections = await anotherCluster();
    expect(await runsOf(ALONE, BOTH)).toEqual([1, 1]);
  });
});

async function anotherCluster(): Promise<Elections> {
  await elections.end();
  world.taken.clear();
  return new Elections();
}
