import { describe, expect, it } from '@jest/globals';
import type { ElectionNotice } from '../../lib/core/election-state.js';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { rehearseAcquisition } from '../../lib/elector/rehearsal.js';
import { CONFIG, heldBy, MachineRun, representation } from '../support/machine-run.js';
import { ManualClock } from '../support/manual-clock.js';
import { ScriptedLock } from '../support/scripted.lock.js';

const RELEASED = heldBy('', { releasedTransitions: 4 });

/** A standby that leads after a release, with all that others can see of that. */
async function succeeds(lock: ScriptedLock): Promise<unknown> {
  const clock = new ManualClock();
  const notices: ElectionNotice[] = [];
  let dice = 0;
  lock.stored = representation(heldBy('other'), 10);
  lock.automatic = true;
  const elector = new LeaderElector(CONFIG, {
    lock,
    clock,
    random: () => (dice += 1) / 100,
    observer: { onNotice: (notice) => notices.push(notice) },
  });
  elector.start();
  lock.watchObserver!.opened();
  await clock.advance(0);
  lock.stored = representation(RELEASED, 11);
  lock.watchObserver!.changed(lock.stored, 11n);
  await clock.advance(3_000);
  expect(elector.isLeader()).toBe(true);
  return { notices, dice, requests: lock.requests.map(({ verb, record }) => [verb, record]) };
}

describe('when a standby rehearses its acquisition while it waits for its turn', () => {
  it('plays it as far as the grant', () => {
    const run = MachineRun.standingBy();
    run.random = 0.6;
    run.watch(representation(RELEASED, 11));
    const before = JSON.stringify(run.state, shown);
    expect(rehearseAcquisition(run.state, CONFIG).map(({ kind }) => kind)).toContain('grant');
    expect(JSON.stringify(run.state, shown)).toBe(before);
  });

  it('plays nothing where it leads already', () => {
    const run = MachineRun.leading();
    expect(rehearseAcquisition(run.state, CONFIG)).toEqual([]);
  });

  it('asks, says and draws what it does without a rehearsal', async () => {
    const rehearsing = Object.assign(new ScriptedLock(), { connect: () => undefined });
    expect(await succeeds(rehearsing)).toEqual(await succeeds(new ScriptedLock()));
  });
});

const shown = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? String(value) : value;
