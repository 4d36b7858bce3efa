import { describe, expect, it } from '@jest/globals';
import { LockRequestError } from '../../lib/core/errors.js';
import { type ElectionObserver, LeaderElector } from '../../lib/elector/leader-elector.js';
import { CONFIG, heldBy, representation } from '../support/machine-run.js';
import { ManualClock } from '../support/manual-clock.js';
import { ScriptedLock } from '../support/scripted.lock.js';
import { stopElection } from '../support/stop-election.js';

/** An elector all of whose calls to its observer throw; what comes out of the loop is kept. */
class Broken {
  readonly lock = new ScriptedLock();
  readonly clock = new ManualClock();
  readonly calls: string[] = [];
  readonly thrown: string[] = [];
  readonly elector: LeaderElector;

  constructor() {
    const fail = (told: string): never => {
      this.calls.push(told);
      throw new Error(told);
    };
    const observer: Required<ElectionObserver> = {
      onGranted: () => fail('granted'),
      onRevoked: () => fail('revoked'),
      onNotice: ({ kind }) => fail(kind),
      onRequest: ({ purpose }) => fail(`asked: ${purpose}`),
      onAnswer: (_, outcome) => fail(`answered: ${outcome?.kind}`),
    };
    this.elector = new LeaderElector(CONFIG, {
      lock: this.lock,
      clock: this.clock,
      random: () => 0,
      observer,
    });
    this.lock.automatic = true;
  }

  async advance(ms: number): Promise<this> {
    const until = this.clock.now() + ms;
    for (let done = false; !done;) {
      try {
        await this.clock.advance(until - this.clock.now());
        done = true;
      } catch (error) {
        this.thrown.push((error as Error).message);
      }
    }
    return this;
  }

  async leading(): Promise<this> {
    this.elector.start();
    await this.advance(10);
    if (!this.elector.isLeader()) throw new Error('it does not lead');
    return this;
  }
}

describe('when everything an observer is told throws', () => {
  it('leads, gives up, releases and leads again', async () => {
    const broken = await new Broken().leading();
    expect(broken.elector.stepDown(10_000)).toBe(true);
    await broken.advance(5_000);
    expect(broken.lock.stored?.record.holderIdentity).toBe('');
    await broken.advance(5_100);
    expect(broken.elector.term?.number).toBe(2);
  });

  it('throws every one of these errors by itself, to the loop and not to a caller', async () => {
    const broken = await new Broken().leading();
    broken.elector.suspend();
    broken.elector.resume();
    const stopped = stopElection(broken);
    await broken.advance(1_000);
    await stopped;
    const told = ['asked: acquire', 'answered: applied', 'granted', 'revoked', 'released'];
    expect(broken.calls).toEqual(expect.arrayContaining(told));
    expect(broken.thrown).toEqual(broken.calls);
  });

  it('opens the watch though the start has something to tell', async () => {
    const broken = new Broken();
    broken.lock.stored = representation(heldBy('other'), 10);
    broken.elector.suspend();
    broken.elector.start();
    await broken.advance(10);
    expect(broken.calls).toContain('leader-changed');
    expect(broken.lock.watchObserver).toBeDefined();
  });

  it('does not let a lock pay for it that reports a change', async () => {
    const broken = await new Broken().leading();
    const taken = representation(heldBy('other', { leaseDurationSeconds: 1 }), 500);
    broken.lock.stored = taken;
    expect(() => broken.lock.watchObserver!.changed(taken, 500n)).not.toThrow();
    expect(broken.elector.leader).toBe('other');
    await broken.advance(0);
    expect(broken.lock.last.verb).toBe('read');
  });

  it('polls from the interruption of the watch on', async () => {
    const broken = new Broken();
    broken.lock.stored = representation(heldBy('other'), 10);
    broken.elector.start();
    broken.lock.watchObserver!.opened();
    await broken.advance(1_000);
    const asked = broken.lock.requests.length;
    const gone = new LockRequestError('gone', { reason: 'unclear' });
    expect(() => broken.lock.watchObserver!.interrupted(gone)).not.toThrow();
    await broken.advance(2 * CONFIG.retryPeriodMs);
    expect(broken.lock.requests.length).toBeGreaterThan(asked);
    expect(broken.thrown).toContain('failed');
  });

  it('stops though neither the watch nor the lock can be closed', async () => {
    const broken = new Broken();
    const close = (): never => {
      throw new Error('stuck');
    };
    Object.assign(broken.lock, { watch: () => ({ close }), close });
    await broken.leading();
    let refusal: string | undefined;
    void stopElection(broken).catch((error: Error) => (refusal = error.message));
    await broken.advance(1_000);
    expect(refusal).toBe('stuck');
    expect(broken.thrown.filter((name) => name === 'failed')).toHaveLength(1);
    expect(broken.clock.pendingTimers).toBe(0);
  });
});
