import type { ContainerEnd } from '../core/container.js';
import type { ElectionConfig, ElectionNotice } from '../core/election-state.js';
import type { Member } from '../core/member.js';
import type { Leadership, RevocationReason, Term } from '../core/term.js';
import type { Clock, Timer } from '../core/clock.js';
import { messageOf } from '../core/thrown-value.js';
import type { ResourceLock } from '../core/resource-lock.js';
import type { ElectionObserver, ElectorFactory, RoleElector } from '../elector/leader-elector.js';
import type { Watchdog } from '../elector/watchdog.js';
import type { RoleMark } from '../kubernetes/leader-mark.js';
import { closeInTime } from '../elector/lock-requests.js';
import { atHome } from '../elector/system-clock.js';
import { MemoryLock } from '../locks/memory/memory.lock.js';
import type { MembersUnknownError, ReportedError } from '../core/errors.js';
import type { MemberView } from '../core/member.js';
import type { ApplicationMembers } from './application-members.js';
import type { LockRemark, SelectedLock } from '../locks/lock-selection.js';
import { ClusterEvents } from '../election/cluster-events.js';
import { ElectionActivity } from '../election/election-activity.js';
import { ElectionChannels, type ElectionSource, sourceOf } from '../election/election-channels.js';
import {
  type ElectionHealth,
  type ElectionHealthOptions,
  healthOf,
} from '../election/election-health.js';
import { ElectionProgress, type ElectionStatus, knownLeader } from '../election/election-status.js';
import type { EligibilityChecks } from './eligibility-checks.js';
import type { ResolvedModuleOptions } from './leader-election.options.js';
import { isRepl } from './entry-point.js';
import {
  type ApplicationReadiness,
  type LeadershipHandlers,
  LeadershipHandlersDispatcher,
} from '../election/leadership-handlers.dispatcher.js';
import { LeadershipStreams } from './leadership-streams.js';
import type { OwnContainer } from './own-container.js';
import type { PodLabels } from './pod-labels.js';
import { isTerm } from '../election/gated-work.js';
import { RoleEligibility } from '../election/role-eligibility.js';
import { type ListedTimer, RoleLogger } from './role-logger.js';
import type { RolePlacement } from './role-placement.js';
import { runToEnd } from './run-to-end.js';
import type { SharedMembers } from './shared-members.js';
import { ShadowSkips } from './shadow-skips.js';
import { revocationOfStub, type ServiceOverride, termOfStub } from './service-override.js';

export interface RoleElectionDependencies {
  readonly clock: Clock;
  readonly random: () => number;
  readonly makeElector: ElectorFactory;
  readonly readiness: ApplicationReadiness;
  readonly members: ApplicationMembers;
  readonly podLabels: PodLabels;
  /** Undefined if no option of the role needs them. */
  readonly parts: OptionalParts | undefined;
}

export type OptionalParts = typeof import('./optional-parts.js');

/** Longer than most applications take for their `onModuleInit` hooks. */
const WAITS_EARLY_MS = 30_000;

/** Loaded with what needs it. */
export { makeElector } from '../elector/leader-elector.js';

/** One role in one application: its elector, and everything that hears what the elector does. */
export class RoleElection {
  readonly elector: RoleElector;
  readonly streams: LeadershipStreams;
  readonly dispatcher: LeadershipHandlersDispatcher;
  readonly lock: ResourceLock;
  /** Makes the lock of another lease like that of the role; absent for a lock that is one object. */
  readonly lockBeside: SelectedLock['beside'];
  private readonly scheduleListeners: (() => void)[] = [];
  private readonly drainedBeside: (() => Promise<void>)[] = [];
  private readonly log: RoleLogger;
  /** What gates would have skipped; undefined unless the role has `mode: 'shadow'`. */
  readonly shadow: ShadowSkips | undefined;
  /** Whose its events are. */
  readonly source: ElectionSource;
  readonly channels: ElectionChannels;
  readonly activity: ElectionActivity;
  readonly events: ClusterEvents | undefined;
  private readonly progress: ElectionProgress;
  private readonly eligibility: RoleEligibility;
  private readonly checks: EligibilityChecks | undefined;
  /** Of this election, and of what is scheduled under it. */
  readonly clock: Clock;
  private readonly members: SharedMembers | undefined;
  /** How many members may stand for leader; null while that is not known. */
  private crowd: number | null = null;
  private readonly mark: RoleMark | undefined;
  private readonly placement: RolePlacement | undefined;
  private readonly ownContainer: OwnContainer | undefined;
  private readonly watchdog: Watchdog | undefined;
  private readonly lockRemark: LockRemark | undefined;
  private lastReason: RevocationReason | undefined;
  private started = false;
  private stopping = false;
  private bootstrapping = false;
  private awaited = false;
  private isAutoStart: boolean;
  private hasSeenLeader = false;
  /** Someone has called waitForLeadership() before the bootstrap hooks, which may be what keeps them from running. */
  private waitsEarly: Timer | undefined;
  private released: Promise<void> | undefined;
  private replacement: ServiceOverride | undefined;
  private replacementTerm: Term | undefined;

  constructor(
    readonly options: ResolvedModuleOptions,
    { lock, remark, beside }: SelectedLock,
    { clock, random, makeElector, readiness, members, podLabels, parts }: RoleElectionDependencies,
  ) {
    this.lock = lock;
    this.lockBeside = beside;
    this.clock = clock;
    const isLeaseLasting = !(lock instanceof MemoryLock);
    const description = lock.describe();
    this.log = new RoleLogger(options, description, clock, isLeaseLasting);
    this.source = sourceOf(options, description);
    this.channels = new ElectionChannels(this.source, () => this.leader);
    const { leaseDurationMs, renewDeadlineMs } = options;
    const status = (): ElectionStatus => this.status;
    this.activity = new ElectionActivity(this.source, clock, {
      leaseDurationMs,
      renewDeadlineMs,
      status,
    });
    this.events = ClusterEvents.of(options, lock, clock, (error) => this.log.eventFailed(error));
    this.events?.follow(this.activity);
    this.shadow =
      options.mode === 'shadow'
        ? new ShadowSkips((method, count) => this.log.wouldHaveSkipped(method, count, this.leader))
        : undefined;
    this.progress = new ElectionProgress(clock);
    this.members = options.members && members.of(this, parts!);
    const config = configOf(options, lock, this.members);
    this.elector = makeElector(config, {
      lock,
      clock,
      random,
      observer: this.observer(),
      successorFor: (name) => this.placement?.directTo(name),
    });
    this.mark = podLabels.markOf(this, (error) => this.report(error));
    this.eligibility = new RoleEligibility(this.elector, (why) => {
      this.log.eligibilityChanged(why, this.elector.isLeader());
      this.activity.eligibilityChanged(why);
    });
    if (options.eligibility.length > 0) {
      this.eligibility.await('checks', 'the eligibility checks have not answered yet');
    }
    this.placement = this.placementAmong(this.members, parts);
    this.ownContainer = this.ownContainerAmong(this.members, parts);
    this.watchdog = this.watchdogBy(parts);
    this.streams = new LeadershipStreams(
      () => this.leadership(),
      () => this.memberViews,
    );
    this.checks = this.checksBy(parts);
    this.dispatcher = new LeadershipHandlersDispatcher(options, readiness, {
      holds: (term) =>
        term === (this.replacement === undefined ? this.elector.term : this.replacementTerm),
      currentLeader: () => (this.replacement ?? this).leader,
      stepDown: (cooldownMs) => this.stepDown(cooldownMs),
      report: (error) => this.report(error),
      runToEnd,
      nameOf: (kind) => `@${kind}()`,
    });
    this.lockRemark = remark;
    this.isAutoStart = options.autoStart;
  }

  get role(): string {
    return this.options.role;
  }

  get isStopping(): boolean {
    return this.stopping;
  }

  /** The leader as far as this process knows; never this process once its own validity has passed. */
  get leader(): string | undefined {
    return knownLeader(this.elector, this.options.identity);
  }

  /** Where that leader answers requests, if it says so. */
  get leaderAddress(): string | undefined {
    return this.leader === undefined ? undefined : this.elector.leaderAddress;
  }

  get memberViews(): readonly MemberView[] | undefined {
    return this.members?.viewOf(this);
  }

  get status(): ElectionStatus {
    return this.progress.statusOf(this.subject);
  }

  health({ toleranceMs = this.options.retryPeriodMs }: ElectionHealthOptions): ElectionHealth {
    return healthOf(this.subject, this.progress, toleranceMs);
  }

  private get subject() {
    const { elector, leader, options, source } = this;
    return { elector, leader, options, lock: source.lock };
  }

  private checksBy(parts: OptionalParts | undefined): EligibilityChecks | undefined {
    const { eligibility, retryPeriodMs: periodMs, requestTimeoutMs: timeoutMs } = this.options;
    if (eligibility.length === 0 || parts === undefined) return undefined;
    const tell = (reason: string | undefined): void => this.eligibility.judge('checks', reason);
    return new parts.EligibilityChecks(eligibility, {
      clock: this.clock,
      periodMs,
      timeoutMs,
      tell,
    });
  }

  private placementAmong(
    members: SharedMembers | undefined,
    parts: OptionalParts | undefined,
  ): RolePlacement | undefined {
    if (members === undefined || parts === undefined) return undefined;
    const { role, placement, placementCooldownMs } = this.options;
    const { clock, elector, eligibility } = this;
    return new parts.RolePlacement({
      role,
      placement,
      placementCooldownMs,
      clock,
      elector,
      eligibility,
      members: () => this.memberViews,
      roles: () => members.roles,
      warn: (text) => this.log.placementFailed(text),
    });
  }

  private ownContainerAmong(
    members: SharedMembers | undefined,
    parts: OptionalParts | undefined,
  ): OwnContainer | undefined {
    if (members === undefined || parts === undefined || !this.options.podWatch) return undefined;
    const { clock, elector } = this;
    return new parts.OwnContainer({
      read: (signal) => members.ownContainer(signal),
      elector,
      clock,
      warn: (why) => this.log.containerUnknown(why),
    });
  }

  private watchdogBy(parts: OptionalParts | undefined): Watchdog | undefined {
    const { watchdog, leaseDurationMs, renewDeadlineMs, role } = this.options;
    if (!watchdog || parts === undefined) return undefined;
    const toleranceMs = Math.floor((leaseDurationMs - renewDeadlineMs) / 2);
    return new parts.Watchdog(toleranceMs, role, (error) => this.log.watchdogFailed(error));
  }

  containerEnded(end: ContainerEnd): void {
    if (this.options.podWatch) this.elector.containerEnded(end);
  }

  membersChanged(members: readonly Member[] | undefined): void {
    const crowd = members?.filter(({ isTerminating }) => !isTerminating).length ?? null;
    if (crowd !== this.crowd) this.elector.setCrowd(crowd);
    this.crowd = crowd;
    this.viewChanged();
  }

  leadersChanged(): void {
    if (this.members?.current !== undefined) this.viewChanged();
  }

  private viewChanged(): void {
    this.placement?.review();
    this.activity.membersChanged(() => this.memberViews);
    this.streams.membersChanged();
  }

  membersUnknown(error: MembersUnknownError): void {
    this.placement?.review();
    this.activity.failed(error);
    this.streams.failed(error);
  }

  leadership(): Leadership {
    const { term } = this.elector;
    return leadershipNow(this.role, this.leader, term, this.lastReason);
  }

  /**
   * A test has replaced the service of this election: the replacement decides who leads, its streams call the handlers,
   * and this process does not compete.
   */
  replacedBy(service: ServiceOverride, { OnGranted }: LeadershipHandlers): void {
    this.replacement = service;
    service.granted$?.subscribe?.((term) => this.toldTerm(termOfStub(term)));
    service.revoked$?.subscribe?.((revocation) => {
      const { term, reason } = revocationOfStub(revocation);
      if (this.replacementTerm === term) this.replacementTerm = undefined;
      void this.dispatcher.revoked(term, reason);
    });
    service.leader$?.subscribe?.((leader) => this.dispatcher.leaderChanged(leader));
    const { term } = service;
    if (isTerm(term)) this.toldTerm(term);
    else if (OnGranted.length > 0 && service.granted$ === undefined && service.isLeader()) {
      this.log.handlersUnheard(OnGranted.map(({ name }) => name));
    }
  }

  /** The present term: that of the service or, for a stub without `term`, the last one that it emitted. */
  termBy(service: { readonly term: Term | undefined }): Term | undefined {
    return 'term' in service ? service.term : this.replacementTerm;
  }

  private toldTerm(term: Term): void {
    if (this.replacementTerm === term) return;
    this.replacementTerm = term;
    void this.dispatcher.granted(term);
  }

  start(): void {
    if (this.started || this.stopping || this.replacement !== undefined) return;
    this.watchdog?.start();
    this.started = true;
    this.waitsEarly?.cancel();
    this.log.started();
    this.activity.started();
    this.progress.started();
    this.placement?.start();
    this.members?.start();
    atHome(() => this.checks?.start());
    this.elector.start();
  }

  /**
   * A caller waits for leadership. During the bootstrap hooks this starts the election, as otherwise the promise would
   * never resolve.
   */
  leadershipAwaited(): void {
    this.awaited = true;
    if (!this.bootstrapping && !this.started && !this.stopping) {
      this.waitsEarly ??= this.clock.setTimer(() => this.log.waitsEarly(), WAITS_EARLY_MS);
    }
    if (this.bootstrapping && this.isAutoStart) this.start();
  }

  onBootstrapStarted(): void {
    this.bootstrapping = true;
    this.waitsEarly?.cancel();
    // Not earlier: only now is the application's own logger in place.
    if (this.lockRemark !== undefined) this.log.remarkOnLock(this.lockRemark);
    if (this.shadow !== undefined) this.log.shadows();
    if (this.options.autoStart && isRepl()) {
      this.isAutoStart = false;
      this.log.standsAside();
    }
    if (this.awaited) this.leadershipAwaited();
  }

  onBootstrapEnded(): void {
    if (this.isAutoStart) this.start();
  }

  /**
   * What has to end before the lock is closed, beside the work of a term. Must not reject, and has a bound of its own. While
   * this election drains it is called at once.
   */
  drainsWith(drain: () => Promise<void>): void {
    this.drainedBeside.push(drain);
    if (this.stopping) void drain();
  }

  async drain(): Promise<void> {
    this.stopping = true;
    this.waitsEarly?.cancel();
    this.log.tellSkips();
    if (this.shadow !== undefined) this.log.shadowed(this.shadow.byMethod);
    this.checks?.close();
    const drained = this.elector.drain();
    this.streams.noMoreGrants();
    await Promise.all([drained, ...this.drainedBeside.map((drain) => drain())]);
  }

  /** Calls back when another process has changed what is stored beside the lease, and says so to this leader. */
  onScheduleChanged(listener: () => void): void {
    this.scheduleListeners.push(listener);
  }

  /** It gates the timers of the application. */
  gatesTimers(timers: readonly ListedTimer[], added: readonly string[]): void {
    this.log.gatesTimers(timers, added, this.shadow !== undefined);
  }

  /** A gated method was skipped. Before the leader is known, this happens silently on every replica. */
  skipped(method: string): void {
    this.channels.skipped(method);
    this.activity.closed('skipped', method);
    if (this.hasSeenLeader || this.stopping || this.replacement !== undefined) return;
    this.log.skippedEarly(method);
  }

  /** Bounded for the lease as LeaderElector.release() is, and by one request timeout for the lock. */
  release(): Promise<void> {
    this.stopping = true;
    this.checks?.close();
    this.placement?.close();
    this.released ??= this.elector
      .release()
      .then(() => this.close('the recorder of events', () => this.events?.close()))
      .then(() => this.close('the mark of the pod', () => this.mark?.close()))
      .then(() => this.close('the source of the members', () => this.members?.leave()))
      .then(() => this.close('the watchdog', () => this.watchdog?.close()))
      .then(() => this.close('the lock', () => this.lock.close?.()))
      .finally(() => {
        this.activity.stopped();
        this.streams.complete();
      });
    return this.released;
  }

  /** The application says whether this process is fit to lead. */
  setEligible(isEligible: boolean, reason: string): void {
    // Whatever JavaScript passes: it is only logged.
    const why: unknown = reason;
    this.eligibility.judge('application', isEligible ? undefined : messageOf(why));
  }

  private stepDown(cooldownMs: number): void {
    if (this.replacement === undefined) this.elector.stepDown(cooldownMs, 'handler-failed');
    else this.replacement.stepDown?.({ cooldownMs });
  }

  /** What hangs or throws there must not keep the application from ending. */
  private async close(what: string, close: () => Promise<void> | undefined): Promise<void> {
    try {
      await closeInTime(close, this.clock, this.options.requestTimeoutMs);
    } catch (error) {
      this.log.notClosed(what, error);
    }
  }

  private report(error: ReportedError): void {
    this.log.failed(error);
    this.activity.failed(error);
    this.streams.failed(error);
  }

  private observer(): ElectionObserver {
    return {
      onGranted: (term: Term) => {
        this.lastReason = undefined;
        this.progress.granted();
        this.watchdog?.validFor(this.elector.remainingMs());
        this.log.granted(term);
        this.channels.granted(term);
        this.activity.granted(term);
        this.mark?.lead();
        const handled = this.dispatcher.granted(term);
        this.streams.granted(term);
        this.placement?.granted();
        this.ownContainer?.granted(term);
        return handled;
      },
      onRevoked: (term: Term, reason: RevocationReason) => {
        this.lastReason = reason;
        this.watchdog?.rest();
        this.log.revoked(term, reason, this.eligibility.why);
        this.channels.revoked(term, reason);
        this.activity.revoked(term, reason, () => this.elector.work.ended());
        // Beside the drain: the release does not wait for it.
        this.mark?.leave();
        const handled = this.dispatcher.revoked(term, reason);
        this.streams.revoked(term, reason);
        this.placement?.revoked(reason);
        return handled;
      },
      onNotice: (notice) => this.tell(notice),
      onRequest: (request) => this.activity.requested(request),
      onAnswer: (id, outcome) => this.activity.answered(id, outcome),
    };
  }

  private tell(notice: ElectionNotice): void {
    this.progress.tell(notice);
    this.activity.notice(notice, this.elector.isLeader());
    if (notice.kind === 'renewed') this.watchdog?.validFor(this.elector.remainingMs());
    const isOfLeader = notice.kind === 'leader-changed';
    if (isOfLeader) {
      if (notice.leader !== undefined) this.hasSeenLeader = true;
      if (notice.leader !== this.options.identity) this.mark?.follow(notice.leader);
    }
    if (notice.kind === 'schedule-changed') {
      for (const listener of this.scheduleListeners) listener();
      return;
    }
    if (notice.kind === 'eligibility-changed') this.eligibility.announce();
    else if (notice.kind === 'ineligible-acquisition') {
      this.log.ineligibleAcquisition(notice.term, this.eligibility.why);
    } else this.log.tell(notice);
    if (isOfLeader) {
      this.dispatcher.leaderChanged(notice.leader);
      this.streams.changed();
      this.members?.leaderChanged();
    } else if (notice.kind === 'failed') this.streams.failed(notice.error);
  }
}

/** The uid of this member is known later than the options are. */
function configOf(
  options: ResolvedModuleOptions,
  { isInProcess }: ResourceLock,
  members: SharedMembers | undefined,
): ElectionConfig {
  return {
    ...options,
    isLockInProcess: isInProcess === true,
    get memberUid() {
      return members?.selfUid;
    },
  };
}

/** What `leadership$` carries. @param lastReason why the last term ended; absent during a term */
export function leadershipNow(
  role: string,
  leader: string | undefined,
  term: Term | undefined,
  lastReason: RevocationReason | undefined,
): Leadership {
  return Object.freeze({
    role,
    isLeader: term !== undefined,
    ...(leader !== undefined && { leader }),
    ...(term !== undefined && { term }),
    ...(term === undefined && lastReason !== undefined && { reason: lastReason }),
  });
}
