import { describe, expect, it } from '@jest/globals';
import type { ContainerEnd } from '../../lib/core/container.js';
import type { ElectionConfig } from '../../lib/core/election-state.js';
import type { HoldersContainer, LeaseRecord } from '../../lib/core/lease-record.js';
import { CONFIG, heldBy, MachineRun, rejected, representation } from '../support/machine-run.js';

const CONTAINER = {
  podUid: 'pod-1',
  containerName: 'app',
  containerId: `containerd://${'a'.repeat(64)}`,
};
const OTHER_CONTAINER = { ...CONTAINER, containerId: `containerd://${'b'.repeat(64)}` };
const SECOND = 1_000_000;
const RENEWED_AT = 1_000 * SECOND;

/** As another process says it in its term. */
function mark(change: Partial<HoldersContainer> = {}): HoldersContainer {
  const { holderIdentity, leaseTransitions, acquireTimeMicros } = heldBy('other');
  return {
    ...CONTAINER,
    holderIdentity,
    transitions: leaseTransitions,
    acquireTimeMicros: acquireTimeMicros!,
    ...change,
  };
}

/** By another process, which says in which container it runs. */
function named(change: Partial<LeaseRecord> = {}): LeaseRecord {
  return heldBy('other', { renewTimeMicros: RENEWED_AT, container: mark(), ...change });
}

function end(change: Partial<ContainerEnd> = {}): ContainerEnd {
  const { podUid, containerId } = CONTAINER;
  return { podUid, containerId, finishedAtMicros: RENEWED_AT + 5 * SECOND, ...change };
}

const ended = (run: MachineRun, change: Partial<ContainerEnd> = {}): MachineRun =>
  run.say({ kind: 'container-ended', end: end(change) });

function standby(record = named(), change: Partial<ElectionConfig> = {}): MachineRun {
  return MachineRun.standingBy(change, record).at(1_000);
}

describe('when the container that the record names is proved to have ended', () => {
  it('takes over at once, on that very version', () => {
    const { request } = ended(standby()).request;
    expect(request).toMatchObject({ verb: 'replace', expected: { revision: 10n } });
  });

  it('takes over as soon with a lease of a minute', () => {
    const record = named({ leaseDurationSeconds: 60 });
    const run = ended(standby(record, { leaseDurationMs: 60_000 }));
    expect(run.request.purpose).toBe('acquire');
  });

  it('sees no leader any more', () => {
    expect(ended(standby()).state.leader).toBeUndefined();
  });

  it('takes over as soon where the proof came before the record', () => {
    const run = ended(MachineRun.standingBy(), {});
    run.at(2_000).watch(representation(named(), 11));
    expect(run.request.purpose).toBe('acquire');
  });

  it('takes over as soon where the record names the container only later, under one timing key', () => {
    const run = ended(standby(named({ container: undefined })));
    expect(run.state.pending).toBeNull();
    run.at(2_000).watch(representation(named(), 11));
    expect(run.request.purpose).toBe('acquire');
  });

  it('waits its share of the window from the proof on', () => {
    const run = MachineRun.standingBy({}, named());
    run.random = 0.5;
    run
      .at(900)
      .watch(
        representation(named({ crowd: { candidates: 100, stepMs: 8 }, renewTimeMicros: 2 }), 11),
      );
    ended(run.at(1_000));
    expect(run.state.pending).toBeNull();
    expect(run.wakeAt).toBe(1_200);
  });

  it('waits its share of the window from the record on, where that came later', () => {
    const run = ended(MachineRun.standingBy());
    run.random = 0.5;
    run.at(3_000).watch(representation(named({ crowd: { candidates: 100, stepMs: 8 } }), 11));
    expect(run.wakeAt).toBe(3_200);
  });

  it('takes off the name of the dead container', () => {
    expect(ended(standby()).written.container).toBeUndefined();
  });

  it('claims again when a renewal that the dead had sent is stored after the proof', () => {
    const run = ended(standby());
    run.writes({ kind: 'conflict' });
    const ghost = named({ renewTimeMicros: RENEWED_AT + 4 * SECOND });
    run.at(1_050).watch(representation(ghost, 11));
    expect(run.request.request).toMatchObject({ verb: 'replace', expected: { revision: 11n } });
  });

  it('makes the first attempt at once and the others less and less often, however often it is told', () => {
    const run = standby();
    const attemptedAt: number[] = [];
    for (let now = 1_000; now <= 30_000; now += 100) {
      ended(run.at(now));
      if (run.state.pending?.purpose !== 'acquire') continue;
      attemptedAt.push(now);
      run.writes({ kind: 'not-applied', error: rejected() });
    }
    expect(attemptedAt[0]).toBe(1_000);
    expect(attemptedAt.length).toBeGreaterThan(2);
    expect(attemptedAt.length).toBeLessThanOrEqual(6);
  });

  it('is not granted before the lease duration has passed where it is strict', () => {
    const run = ended(standby(named(), { strict: true })).applied(11);
    expect(run.in('settling').settledAt).toBe(1_000 + CONFIG.leaseDurationMs);
    expect(run.isLeader()).toBe(false);
  });

  it('does not acquire while it does not compete', () => {
    const run = standby().withdraw('suspended');
    expect(ended(run).state.pending).toBeNull();
  });
});

/** A standby that has seen the record since 1,000 and waits this share of the window. */
function provedAt(now: number, share: number): MachineRun {
  const run = MachineRun.standingBy({}, named()).at(1_000);
  run.random = share;
  run.watch(representation(renewed(), 11));
  return ended(run.at(now));
}

function renewed(change: Partial<LeaseRecord> = {}): LeaseRecord {
  return named({ renewTimeMicros: RENEWED_AT + 1, ...change });
}

describe('when the proof comes late', () => {
  const EXPIRY = 1_000 + CONFIG.leaseDurationMs;

  it('takes over no later than without it', () => {
    expect(provedAt(EXPIRY + 4, 0.9).wakeAt).toBe(EXPIRY + 9);
  });

  it('lets an ineligible one stand no later than without it', () => {
    const run = MachineRun.standingBy({}, named()).say({
      kind: 'eligibility',
      isEligible: false,
      mayHandOver: false,
    });
    run.at(6_000).tick();
    ended(run.at(2 * CONFIG.leaseDurationMs - 1_000));
    expect(run.wakeAt).toBe(2 * CONFIG.leaseDurationMs);
  });
});

describe('when an end is no proof for the record', () => {
  it.each<[string, Partial<LeaseRecord>, Partial<ContainerEnd>]>([
    ['names no container', { container: undefined }, {}],
    ['names another container', { container: mark(OTHER_CONTAINER) }, {}],
    ['names a container of another pod', {}, { podUid: 'pod-2' }],
    [
      'was renewed after that end, by a process that took its predecessor for itself',
      {},
      { finishedAtMicros: RENEWED_AT - SECOND - 1 },
    ],
    ['has no renew time that can be read', { renewTimeMicros: null }, {}],
    ['names the container of another holder', { container: mark({ holderIdentity: 'dead' }) }, {}],
    ['names the container of another term', { container: mark({ transitions: 3 }) }, {}],
    [
      'names the container of another acquisition',
      { container: mark({ acquireTimeMicros: 2 }) },
      {},
    ],
    ['has no acquire time that can be read', { acquireTimeMicros: null }, {}],
  ])('waits the lease out where the record %s', (_, change, endChange) => {
    const run = ended(standby(named(change)), endChange);
    expect(run.state.pending).toBeNull();
    expect(run.state.leader).toBe('other');
    expect(run.wakeAt).toBe(CONFIG.leaseDurationMs);
  });

  it('is proof for a renewal in the second of the end, as that is all that the kubelet writes', () => {
    const run = ended(standby(), { finishedAtMicros: RENEWED_AT - SECOND });
    expect(run.request.purpose).toBe('acquire');
  });

  it('leaves a holder alone that has renewed after the end, though it was proof before', () => {
    const run = ended(standby()).writes({ kind: 'conflict' });
    const alive = named({ renewTimeMicros: RENEWED_AT + 7 * SECOND });
    run.at(1_050).watch(representation(alive, 11));
    expect(run.state.pending).toBeNull();
    expect(run.state.leader).toBe('other');
  });

  it('leaves the record alone when an edit takes off the name, until it has run out', () => {
    const run = provedAt(6_000, 0.9);
    expect(run.wakeAt).toBe(6_009);
    run.at(6_004).watch(representation(renewed({ container: undefined }), 12));
    expect(run.at(6_009).tick().state.pending).toBeNull();
    run.at(1_000 + CONFIG.leaseDurationMs).tick();
    expect(run.wakeAt).toBe(1_000 + CONFIG.leaseDurationMs + 9);
  });

  it('does not begin the wait again when an edit puts the name back', () => {
    const run = provedAt(6_000, 0.9);
    run.at(6_004).watch(representation(renewed({ container: undefined }), 12));
    run.at(6_008).watch(representation(renewed(), 13));
    expect(run.wakeAt).toBe(6_009);
  });

  it('says nothing to the holder itself', () => {
    const run = MachineRun.leading();
    run.say({ kind: 'container-known', term: 1, container: CONTAINER });
    run.wake().applied(11);
    ended(run, { finishedAtMicros: 2_000_000_000 * SECOND });
    expect(run.isLeader()).toBe(true);
    expect(run.state.pending).toBeNull();
  });

  it('remembers no more than the last ends', () => {
    const run = MachineRun.standingBy();
    ended(run);
    for (let each = 0; each < 500; each++) {
      ended(run, { containerId: `containerd://${each}`, finishedAtMicros: each * SECOND });
    }
    expect(run.state.endedContainers).toHaveLength(256);
    run.at(2_000).watch(representation(named(), 11));
    expect(run.request.purpose).toBe('acquire');
  });
});

describe('when a holder learns in which container it runs', () => {
  const known = (run: MachineRun, term = 1): MachineRun =>
    run.say({ kind: 'container-known', term, container: CONTAINER });

  it('names none before', () => {
    const run = MachineRun.leading();
    expect(run.wake().written.container).toBeUndefined();
  });

  it('names it with the next renewal, which comes no sooner for that', () => {
    const run = known(MachineRun.leading().at(100));
    expect(run.state.pending).toBeNull();
    expect(run.wake().now).toBe(CONFIG.retryPeriodMs);
    expect(run.written.container).toMatchObject(CONTAINER);
  });

  it('names it while it drains, and takes it off with the release', () => {
    const run = known(MachineRun.leading()).at(500).withdraw('stepped-down');
    expect(run.at(2_000).tick().written.container).toMatchObject(CONTAINER);
    run.applied(11).say({ kind: 'drained', term: 1 });
    expect(run.request.purpose).toBe('release');
    expect(run.written.container).toBeUndefined();
  });

  it('forgets it with the term: the next acquisition and its renewals name none', () => {
    const run = known(MachineRun.leading()).at(100).withdraw('stepped-down');
    run.say({ kind: 'drained', term: 1 }).applied(11);
    run.at(CONFIG.retryPeriodMs).tick();
    expect([run.request.purpose, run.written.container]).toEqual(['acquire', undefined]);
    run.applied(12).wake();
    expect([run.request.purpose, run.written.container]).toEqual(['renew', undefined]);
  });

  it('ignores what a read for an earlier term has shown', () => {
    const run = known(MachineRun.leading().at(100), 0);
    expect(run.wake().written.container).toBeUndefined();
  });

  it('ignores what is known without a term', () => {
    expect(known(MachineRun.standingBy(), 4).state.tenure).toBeNull();
  });
});
