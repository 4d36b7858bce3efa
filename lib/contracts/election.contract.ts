import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers';
import {
  assertSame,
  casesOf,
  type ContractCase,
  type ContractOptions,
  type Rules,
} from './contract-case.js';
import {
  type Candidate,
  type ElectionCapability,
  type ElectionFixture,
  ElectionUnderTest,
  LEASE_MS,
  RECOVERY_MS,
  RENEW_DEADLINE_MS,
  RETRY_MS,
} from './election-under-test.js';
import { held } from './lease-records.js';
import { applied, capabilityRules, request } from './lock-fixture.js';

/**
 * What elections on a lock must do, as cases for any test runner: real electors, two or three of them, on a virtual clock,
 * under faults between each of them and the lock. In every case no two of them are leader at any instant, and fencing
 * tokens grow. It finds what shows over many requests and several candidates alone; a lock has to pass `lockContract()`
 * first.
 *
 * Virtual time stands still while the lock does real work, so that a case takes as long as its requests do.
 *
 * @example
 * describe('an election on the lock of this application', () => {
 *   it.each(electionContract(createFixture))('$name', ({ run }) => run());
 * });
 * @throws LeaderElectionOptionsError for options that the suite does not know
 */
export function electionContract(
  createFixture: () => ElectionFixture | Promise<ElectionFixture>,
  options: ContractOptions<ElectionCapability> = {},
): readonly ContractCase[] {
  return casesOf(
    { capabilities: CAPABILITIES, rules: RULES, needs: NEEDS },
    async (patienceMs, lacks) => new ElectionUnderTest(await createFixture(), patienceMs, lacks),
    options,
  );
}

const CAPABILITIES: readonly ElectionCapability[] = ['watch', 'lost-answers', 'outages'];

const NEEDS: Readonly<Record<string, ElectionCapability>> = {
  'when watches are cut': 'watch',
  'when the store loses an answer': 'lost-answers',
  'when the store is away': 'outages',
};

/** Of a handover that no watch accelerates: the standby polls, and pauses after a request that failed. */
const POLLED_MS = 2 * RETRY_MS;
/** Of one that a watch accelerates. */
const WATCHED_MS = RETRY_MS / 2;

const MANY_RENEWALS = 25;

const RULES: Rules<ElectionUnderTest> = {
  'when its capabilities are asked for': capabilityRules(CAPABILITIES),

  'when candidates start': {
    'makes one of them leader, and the others know which': async (on) => {
      const candidates = [await on.candidate(), await on.candidate(), await on.candidate()];
      for (const { elector } of candidates) elector.start();
      const leader = await on.untilLeads(POLLED_MS, ...candidates);
      await on.until('all know the leader', POLLED_MS, () =>
        candidates.every(({ elector }) => elector.leader === leader.identity),
      );
      assert.equal((await on.record()).holderIdentity, leader.identity);
      assert.equal(on.termCount, 1);
    },
  },

  'when the leader renews': {
    'keeps it leader in one term, and the others write nothing': async (on) => {
      const [leader, ...others] = await on.led(3);
      for (let renewal = 0; renewal < MANY_RENEWALS; renewal += 1) {
        await on.advance(RETRY_MS);
        on.assertLeads(leader);
      }
      assert.equal(on.termCount, 1);
      const renewals = leader.recording.writes.filter(({ outcome }) => outcome?.kind === 'applied');
      assert.ok(renewals.length >= MANY_RENEWALS, `${renewals.length} renewals`);
      assertSame(
        others.flatMap(({ recording }) => recording.writes.map(({ verb }) => verb)),
        [],
      );
    },
  },

  'when the leader releases the lease': {
    'hands it over, with a higher term and a higher fencing token': async (on) => {
      const [leader, ...others] = await on.led(3);
      const before = on.lastTerm!;
      leader.elector.stepDown(LEASE_MS);
      await on.untilLeads(on.lacks.has('watch') ? POLLED_MS : WATCHED_MS, ...others);
      const after = on.lastTerm!;
      assert.equal(after.number, before.number + 1);
      assert.ok(after.fencingToken > before.fencingToken);
      assert.equal((await on.record()).leaseTransitions, after.number);
    },

    'lets each of them lead in turn': async (on) => {
      const candidates = await on.led(2);
      for (let turn = 1; turn <= 6; turn += 1) {
        const leader = on.leader!;
        const others = candidates.filter((each) => each !== leader);
        leader.elector.stepDown(POLLED_MS);
        await on.untilLeads(POLLED_MS, ...others);
        await on.advance(2 * POLLED_MS);
      }
      assert.equal(on.termCount, 7);
    },

    'takes nothing from the others when it closes its lock': async (on) => {
      const [leader, ...others] = await on.led(3);
      await on.shutDown(leader);
      const next = await on.untilLeads(POLLED_MS, ...others);
      await on.advance(RENEW_DEADLINE_MS + RETRY_MS);
      on.assertLeads(next);
    },
  },

  'when the leader stops without a word': {
    'gives it a successor, no sooner than its leadership has ended': async (on) => {
      const [leader, ...others] = await on.led(3);
      const crashedAt = on.now();
      leader.freeze();
      await on.untilLeads(RECOVERY_MS, ...others);
      const passed = on.now() - crashedAt;
      assert.ok(passed > RENEW_DEADLINE_MS - RETRY_MS, `a successor after ${passed} ms`);
    },

    'lets it follow once it is back': async (on) => {
      const [leader, ...others] = await on.led(3);
      leader.freeze();
      const next = await on.untilLeads(RECOVERY_MS, ...others);
      leader.thaw();
      await on.until('it knows its successor', POLLED_MS, () => knows(leader, next));
      await on.advance(LEASE_MS);
      on.assertLeads(next);
    },
  },

  'when the leader is cut off from the store': {
    'ends its leadership before another begins, and lets it follow once it is back': async (on) => {
      const [leader, ...others] = await on.led(3);
      leader.cutOff();
      await on.until('it leads no longer', RENEW_DEADLINE_MS, () => !leader.isLeader);
      const next = await on.untilLeads(RECOVERY_MS, ...others);
      leader.reconnect();
      await on.until('it knows its successor', RECOVERY_MS, () => knows(leader, next));
      on.assertLeads(next);
    },

    'keeps it leader if that ends in time': async (on) => {
      const [leader] = await on.led(2);
      leader.cutOff();
      await on.advance(RENEW_DEADLINE_MS - 2 * RETRY_MS);
      leader.reconnect();
      await on.advance(LEASE_MS);
      on.assertLeads(leader);
      assert.equal(on.termCount, 1);
    },
  },

  'when all are cut off from the store': {
    'leaves none as leader, and makes one leader once they are back': async (on) => {
      const candidates = await on.led(3);
      for (const each of candidates) each.cutOff();
      await on.advance(RENEW_DEADLINE_MS + RETRY_MS);
      assert.equal(on.leader, undefined);
      for (const each of candidates) each.reconnect();
      const leader = await on.untilLeads(RECOVERY_MS, ...candidates);
      await on.advance(LEASE_MS);
      on.assertLeads(leader);
    },
  },

  'when the answer to a write is lost on the way': {
    'makes one leader though it does not know that it has acquired the lease': async (on) => {
      const [first, second] = [await on.candidate(), await on.candidate()];
      first.recording.loseAnswers({ verbs: ['create', 'replace'], count: 1 });
      for (const { elector } of [first, second]) elector.start();
      const leader = await on.untilLeads(RECOVERY_MS, first, second);
      await on.advance(LEASE_MS);
      on.assertLeads(leader);
    },

    'keeps a leader that renews it in its term': async (on) => {
      const [leader] = await on.led(2);
      for (let lost = 0; lost < 4; lost += 1) {
        leader.recording.loseAnswers({ verbs: ['replace'], count: 1 });
        await on.advance(2 * RETRY_MS);
        on.assertLeads(leader);
      }
      assert.equal(on.termCount, 1);
    },

    'hands it over though the leader does not know that it has released it': async (on) => {
      const [leader, ...others] = await on.led(2);
      leader.recording.loseAnswers({ verbs: ['replace'], count: 1 });
      leader.elector.stepDown(LEASE_MS);
      await on.untilLeads(RECOVERY_MS, ...others);
    },
  },

  'when a renewal arrives late': {
    'changes nothing once another leads': async (on) => {
      const [leader, ...others] = await on.led(2);
      await heldBack(on, leader);
      const next = await on.untilLeads(RECOVERY_MS, ...others);
      await leader.recording.letGo();
      await on.advance(RETRY_MS);
      on.assertLeads(next);
      assert.equal((await on.record()).holderIdentity, next.identity);
    },

    'changes nothing once another has led and released it': async (on) => {
      const [leader, ...others] = await on.led(2);
      await heldBack(on, leader);
      const next = await on.untilLeads(RECOVERY_MS, ...others);
      await on.shutDown(next);
      const released = await on.record();
      assert.equal(released.holderIdentity, '', 'the lease was not released');
      await leader.recording.letGo();
      assertSame(await on.record(), released);
    },
  },

  'when watches are cut': {
    'leaves a leader that renews without its watch in its term': async (on) => {
      const [leader] = await on.led(2);
      leader.recording.cutWatch();
      await on.advance(2 * LEASE_MS);
      on.assertLeads(leader);
      assert.equal(on.termCount, 1);
    },

    'hands over by polling, and by the watch once it is back': async (on) => {
      const [first, second] = (await on.led(2)) as [Candidate, Candidate];
      for (const { recording } of [first, second]) recording.cutWatch();
      first.elector.stepDown(LEASE_MS);
      await on.untilLeads(POLLED_MS, second);
      for (const { recording } of [first, second]) recording.restore();
      await on.advance(2 * LEASE_MS);
      on.assertLeads(second);
      second.elector.stepDown(LEASE_MS);
      await on.untilLeads(WATCHED_MS, first);
    },
  },

  'when the store loses an answer': {
    'keeps the leader in its term': async (on) => {
      const [leader] = await on.led(2);
      await on.fixture.loseAnswer!();
      await on.advance(LEASE_MS);
      on.assertLeads(leader);
      assert.equal(on.termCount, 1);
      const outcomes = leader.recording.writes.map(({ outcome }) => outcome?.kind);
      assert.ok(outcomes.includes('unknown'), `the lock answered ${outcomes.join(', ')}`);
    },
  },

  'when the store is away': {
    'leaves none as leader, and makes one leader once it is back': async (on) => {
      const candidates = await on.led(2);
      const restore = await on.interrupted();
      await on.advance(RENEW_DEADLINE_MS + RETRY_MS);
      assert.equal(on.leader, undefined);
      await restore();
      const leader = await on.untilLeads(RECOVERY_MS, ...candidates);
      await on.advance(LEASE_MS);
      on.assertLeads(leader);
    },
  },

  'when the time of a lease is over': {
    'still keeps what its holder has written: the next one continues from it': async (on) => {
      const short = held('gone', { leaseDurationSeconds: 1, leaseTransitions: 7 });
      const former = await on.fixture.lock(on.requester('gone'));
      try {
        const written = applied(await former.create(short, request()));
        await new Promise((resolve) => setTimeout(resolve, 1_100));
        const stored = await on.stored();
        assertSame(stored.record, short);
        assert.equal(stored.revision, written.revision);
      } finally {
        await former.close?.();
      }
    },
  },
};

function knows(candidate: Candidate, leader: Candidate): boolean {
  return candidate.elector.leader === leader.identity && !candidate.isLeader;
}

/** The next renewal of the leader is on the way, and the leader is cut off. */
async function heldBack(on: ElectionUnderTest, leader: Candidate): Promise<void> {
  leader.recording.holdBack({ verbs: ['replace'], count: 1 });
  const isOnTheWay = (): boolean => leader.recording.writes.at(-1)?.endedAtMs === undefined;
  await on.until('the leader renews', 2 * RETRY_MS, isOnTheWay);
  leader.cutOff();
}
