import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ELECTION_ACTIVITY } from '../../lib/election/election-activity.js';
import { type LeaderElection, leaderElectionWith } from '../../lib/election/leader-election.js';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { leaseLock } from '../../lib/index.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../proof/api-emulator/emulated-cluster.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { Elections, ROLE } from './support/elections.js';

/** No request of the test ends by its own timeout, which is one of the machine's clock. */
const TIMES = {
  leaseDurationMs: 150_000,
  renewDeadlineMs: 100_000,
  retryPeriodMs: 20_000,
  requestTimeoutMs: 75_000,
};

interface Candidate {
  isLeader(): boolean;
  remainingMs(): number;
  readonly term: { readonly number: number } | undefined;
  stop(): Promise<void>;
}

let emulator: ApiEmulator;
let elections: Elections;
let stopping: Promise<void> | undefined;

beforeEach(async () => {
  emulator = await ApiEmulator.start();
  elections = new Elections();
  stopping = undefined;
});
afterEach(async () => {
  emulator.clearFaults();
  emulator.disconnect();
  let hasEnded = false;
  const ending = Promise.all([elections.end(), stopping]).then(() => (hasEnded = true));
  try {
    await eventually(async () => {
      await elections.clock.advance(1_000);
      if (!hasEnded) throw new Error('an election has not ended');
    });
    await ending;
  } finally {
    await emulator.stop();
  }
});

const optionsOf = () => ({
  lock: leaseLock({ kubeConfig: kubeConfigTo(emulator.url) }),
  namespace: 'default',
  events: true,
  ...TIMES,
});

async function inPlainNode(): Promise<LeaderElection> {
  const nothing = (): void => {};
  const logger = { debug: nothing, log: nothing, warn: nothing, error: nothing };
  const election = await leaderElectionWith(
    { role: ROLE, logger, ...optionsOf() },
    {
      clock: elections.clock,
      random: () => 0,
      makeElector: (config, dependencies) => new LeaderElector(config, dependencies),
    },
  );
  election.start();
  return election;
}

async function inNest(): Promise<Candidate> {
  const application = await elections.start({ imports: [elections.module(optionsOf())] });
  const leadership = application.leadership();
  return {
    isLeader: () => leadership.isLeader(),
    remainingMs: () => leadership.remainingMs(),
    get term() {
      return leadership.term;
    },
    stop: () => application.close(),
  };
}

const holder = () => emulator.store.get('default', ROLE)?.spec?.holderIdentity;
const renewals = () => emulator.requestsOf('update').length;
const events = () => emulator.requestsOf('create').filter(({ path }) => path.endsWith('/events'));

describe.each([
  ['createLeaderElection', inPlainNode],
  ['an application', inNest],
])('when the API server takes Events of %s and never answers', (_, start) => {
  it('renews on time, keeps leading, and ends without an answer', async () => {
    const { clock } = elections;
    emulator.fail({
      on: ({ path }) => path.endsWith('/events'),
      times: Infinity,
      fault: { kind: 'hang' },
    });
    const candidate = await start();
    const settled = (check: () => void) =>
      eventually(async () => {
        await clock.settle();
        check();
      });
    await settled(() => expect(candidate.isLeader()).toBe(true));
    await settled(() => expect(events()).toHaveLength(1));
    for (let renewal = 1; renewal <= 10; renewal += 1) {
      await clock.advance(TIMES.retryPeriodMs);
      await settled(() => expect(candidate.remainingMs()).toBe(TIMES.renewDeadlineMs));
      expect(renewals()).toBe(renewal);
    }
    expect(candidate.term?.number).toBe(1);
    let hasEnded = false;
    stopping = candidate.stop().then(() => void (hasEnded = true));
    await settled(() => expect(holder()).toBe(''));
    expect(hasEnded).toBe(false);
    const releasedAt = clock.now();
    await eventually(async () => {
      await clock.advance(1_000);
      expect(hasEnded).toBe(true);
    });
    // A second, and what passes while the process hears of its release.
    expect(clock.now() - releasedAt).toBeLessThan(30_000);
    // That of the grant hangs still, and that of the end waits for it.
    expect(events()).toHaveLength(1);
  });
});

describe('when Events are all that hears of an election', () => {
  it('builds nothing at the calls of its gates', async () => {
    const election = await inPlainNode();
    const { observed } = election[ELECTION_ACTIVITY];
    stopping = election.stop();
    expect(observed).toBeUndefined();
  });
});
