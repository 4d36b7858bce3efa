import type { LockRequest } from '../../lib/core/election-state.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import type { Term } from '../../lib/core/term.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

/** Virtual clocks compute. */
const ROUNDING_MS = 1;
/** Time for what is late in a process that works. */
const LATE_MS = 2_000;

/** Makes a process unfit to lead and fit again, and checks what it makes of that (R25). */
export class SimulatedEligibility {
  private isReported = true;
  /** By the own clock. */
  private since = -Infinity;
  private isEligible = true;
  private mayHandOver = false;
  private mayHandOverSince = -Infinity;
  private hasHandedOver = false;
  private letGoTerm: number | undefined;

  constructor(
    private readonly world: World,
    private readonly replica: Replica,
  ) {}

  report(isEligible: boolean, mayHandOver: boolean): void {
    this.review();
    this.checkLetGo();
    const { replica } = this;
    if (isEligible !== this.isReported) this.since = replica.clock.now();
    this.isReported = isEligible;
    if (replica.placement === undefined) this.mayHandOver = mayHandOver;
    replica.log(`is reported ${isEligible ? 'eligible' : 'ineligible'}`);
    replica.elector.setEligible(isEligible, this.mayHandOver);
  }

  /** As the placement sees the others. */
  setMayHandOver(mayHandOver: boolean): void {
    if (mayHandOver === this.mayHandOver) return;
    this.review();
    this.mayHandOver = mayHandOver;
    this.mayHandOverSince = this.replica.clock.now();
    this.replica.elector.setEligible(this.isReported, mayHandOver);
  }

  handsOver({ number }: Term): void {
    const { world, replica } = this;
    world.count('handed-over-ineligible');
    this.review();
    const detail = `${replica.name} hands #${number} over`;
    if (this.isExact && this.isEligible) world.violate('handover-after-grace', detail);
    if (this.isExact && this.hasHandedOver) world.violate('one-handover-an-episode', detail);
    if (this.isExact && !this.mayHandOver) world.violate('handover-to-fit', detail);
    this.hasHandedOver = true;
    this.letGoTerm = number;
  }

  /** Who is ineligible, or let go as such, leaves a lease that nobody holds to others for a while. */
  checkAttempt(request: Exclude<LockRequest, { verb: 'read' }>): void {
    this.review();
    const { world, replica, letGoTerm } = this;
    const { store, now } = world;
    const expected = request.verb === 'replace' ? request.expected : null;
    if (!this.isExact || expected?.revision !== store.lease?.revision) return;
    if (expected !== null && expected.record.holderIdentity !== '') {
      return this.checkTakenBack(expected.record, request.record);
    }
    const { leaseDurationMs, retryPeriodMs } = replica.config;
    const hasLetGo = letGoTerm !== undefined && expected?.record.leaseTransitions === letGoTerm;
    const isMine = hasLetGo && store.writer === replica.id;
    const othersMs = this.isEligible || hasLetGo ? 0 : leaseDurationMs;
    const waitMs = isMine ? Math.min(1_000, retryPeriodMs) + 2_000 : othersMs;
    const waitedMs = (now - store.writtenAt) * replica.clockRate;
    if (waitedMs >= waitMs - ROUNDING_MS) return;
    const detail = `${replica.name} tries after ${waitedMs.toFixed(0)} of ${waitMs} ms`;
    world.violate('ineligible-waits', detail);
  }

  /**
   * Its work ended too late for a release, and its lease still names it: that is no reason to lead on, unless for a whole lease
   * duration nobody has followed (R25).
   */
  private checkTakenBack(before: LeaseRecord, sent: LeaseRecord): void {
    const { world, replica, letGoTerm, isEligible } = this;
    const wasLetGo =
      before.holderIdentity === replica.config.identity && before.leaseTransitions === letGoTerm;
    if (isEligible || !wasLetGo || sent.leaseTransitions === letGoTerm) return;
    const waitedMs = (world.now - world.store.writtenAt) * replica.clockRate;
    if (waitedMs >= replica.config.leaseDurationMs - ROUNDING_MS) return;
    const detail = `${replica.name} takes #${letGoTerm} back, which it was to hand over`;
    world.violate('ineligible-lets-go', detail);
  }

  /** Clocks that stand still or go back, and copies of a process, make its episodes longer than they seem. */
  private get isExact(): boolean {
    const { sleeps, clones, restores } = this.world.scenario;
    return !sleeps && !clones && !restores;
  }

  private checkLetGo(): void {
    const { world, replica } = this;
    const ineligibleMs = replica.clock.now() - Math.max(this.since, this.mayHandOverSince);
    const enoughMs = replica.config.ineligibleGraceMs + LATE_MS;
    if (this.isEligible || this.isReported || !this.mayHandOver || this.hasHandedOver) return;
    if (!this.isExact || ineligibleMs < enoughMs || !replica.elector.isLeader()) return;
    if (world.hinderedUntil('any', replica.slot) > world.now - enoughMs / replica.clockRate) return;
    world.violate('ineligible-lets-go', `${replica.name} leads though it is ineligible`);
  }

  private review(): void {
    const { replica, isReported, since } = this;
    if (isReported === this.isEligible) return;
    if (replica.clock.now() < since + replica.config.ineligibleGraceMs) return;
    this.isEligible = isReported;
    if (isReported) this.hasHandedOver = false;
  }
}
