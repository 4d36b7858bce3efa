import type { ElectionError } from '../../lib/core/errors/election-error.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import type { RevocationReason, Term } from '../../lib/core/term.js';
import type { ElectionObserver } from '../../lib/elector/election-observer.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

/** What uses the election: handlers and work that take their time, and a check of everything it is told (S3, S6). */
export class SimulatedApplication implements ElectionObserver {
  term: Term | undefined;
  settling = false;
  /** Work of any term that has not ended. */
  private openWork = 0;
  /** Number of the last term that was granted. */
  private lastTerm: number | undefined;

  constructor(
    private readonly world: World,
    private readonly replica: Replica,
  ) {}

  onGranted(term: Term): Promise<void> | undefined {
    const { world, replica } = this;
    replica.log(`granted #${term.number} token ${term.fencingToken}`);
    world.count('granted');
    if (this.term !== undefined || !replica.elector.isLeader()) {
      world.violate('event-alternation', `${replica.name} granted #${term.number} out of turn`);
    }
    if (this.openWork > 0) {
      world.violate('event-alternation', `${replica.name} granted while work of a term runs`);
    }
    this.term = term;
    this.lastTerm = term.number;
    this.settling = false;
    const gated = this.work();
    if (gated !== undefined) replica.elector.track(gated);
    const handled = this.work();
    if (world.now < replica.failsHandlersUntil) this.fail(handled);
    return handled;
  }

  onRevoked(term: Term, reason: RevocationReason): Promise<void> | undefined {
    const { world, replica } = this;
    replica.log(`revoked #${term.number}: ${reason}`);
    if (this.term !== term || replica.elector.isLeader() || !term.signal.aborted) {
      world.violate('event-alternation', `${replica.name} revoked #${term.number} out of turn`);
    }
    this.checkRevocation(term, reason);
    this.term = undefined;
    world.promisesMove('lifecycle');
    return this.work();
  }

  onError({ code }: ElectionError): void {
    if (code === 'ERR_DRAIN_TIMEOUT') this.world.count('drain-timeout');
  }

  onReleased(): void {
    this.world.count('released');
  }

  onSettling(): void {
    this.settling = true;
  }

  /** S6: nothing is released while this process believes; as a clean release, only what was granted and has drained. */
  checkRelease({ releasedTransitions: released }: LeaseRecord): void {
    const { openWork, replica } = this;
    const believes = replica.elector.isLeader();
    const falselyClean = released !== null && (openWork > 0 || released !== this.lastTerm);
    if (believes || falselyClean) {
      this.world.violate(
        'release-after-drain',
        `${replica.name} releases #${released} with ${openWork} pieces of work open, leader: ${believes}`,
      );
    }
  }

  /** The handler of the grant fails, at once or when its work has ended: the term is given up, as the module does. */
  private fail(handled: Promise<void> | undefined): void {
    const { world, replica } = this;
    const giveUp = (): void => {
      const cooldownMs = replica.random.next() * replica.config.leaseDurationMs;
      if (replica.elector.stepDown(cooldownMs, 'handler-failed')) world.count('handler-failed');
    };
    if (handled === undefined) giveUp();
    else void handled.then(giveUp);
  }

  /** Nobody is revoked because of old news. */
  private checkRevocation(term: Term, reason: RevocationReason): void {
    const { scenario, store } = this.world;
    if (scenario.restores || (reason !== 'superseded' && reason !== 'lease-deleted')) return;
    if (store.changedHandsAt <= term.fencingToken) {
      this.world.violate('needless-revocation', `${this.replica.name} #${term.number}: ${reason}`);
    }
  }

  /** Work of a term: now and then it takes much longer than anybody wants to wait. */
  private work(): Promise<void> | undefined {
    const { world, replica } = this;
    if (world.healed || !replica.random.chance(replica.traits.slowWorkShare)) return undefined;
    const longest = 2 * replica.config.drainTimeoutMs + replica.config.leaseDurationMs;
    const left = world.scenario.healAt - world.now - 1;
    const ms = Math.min(left, replica.random.next() ** 2 * longest);
    this.openWork++;
    return new Promise<void>((resolve) => {
      world.queue.after(ms, replica, () => {
        this.openWork--;
        world.promisesMove('lifecycle');
        resolve();
      });
    });
  }
}
