import { clearTimeout, setTimeout } from 'node:timers';
import type { ElectionConfig } from '../core/election-state.js';
import { DrainTimeoutError, LeadershipRevokedError } from '../core/errors.js';
import type { RevocationReason, Term } from '../core/term.js';
import {
  type ElectorDependencies,
  openTerm,
  type OpenTerm,
  type RoleElector,
} from '../elector/leader-elector.js';
import { WorkInFlight } from '../elector/work-in-flight.js';

/** What is tracked without a name: the schedule tracks its runs. */
const TRACKED = 'runs of @LeaderCron() jobs';

/** Work in flight, which a test can see by name. */
class NamedWork extends WorkInFlight {
  private readonly counts = new Map<string, number>();

  override begin(name = TRACKED): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    super.begin();
  }

  override end(name = TRACKED): void {
    const count = this.counts.get(name) ?? 0;
    if (count > 1) this.counts.set(name, count - 1);
    else this.counts.delete(name);
    super.end();
  }

  trackAs(name: string, handled: void | Promise<void>): void {
    if (handled === undefined) return;
    this.begin(name);
    const end = (): void => this.end(name);
    void handled.then(end, end);
  }

  /** Names of what has not ended, each once. */
  unfinished(): string[] {
    return [...this.counts.keys()];
  }
}

/** The application under test was closed while work of its last term was still running. */
class WorkLeftRunningError extends DrainTimeoutError {
  constructor(role: string, term: number, closeTimeoutMs: number, running: readonly string[]) {
    super(role, term, closeTimeoutMs);
    this.message =
      `Role "${role}": work of term ${term} was still running ${closeTimeoutMs} ms (closeTimeoutMs of TestElection) after the ` +
      `application had begun to close, so it closed without waiting any longer for: ${running.join(', ')}. ` +
      `Let it end when term.signal is aborted, or end what it waits for before app.close().`;
  }
}

/** Well below the five seconds that Jest gives a hook. */
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * An elector with which a test decides who leads. It competes for no lease, and otherwise keeps every promise of the
 * real one: granted and revoked alternate, the signal is aborted before the revocation is reported, and no term begins
 * before the work of the last has ended.
 */
export class ControlledElector implements RoleElector {
  readonly work = new NamedWork();
  private current: OpenTerm | undefined;
  private otherLeader: string | undefined;
  private candidacy: 'idle' | 'contending' | 'suspended' | 'stopped' = 'idle';
  private terms = 0;
  isEligible = true;
  readonly namedInVain: readonly string[] = [];
  readonly resting: readonly never[] = [];
  readonly wasNamed = false;
  readonly observed = undefined;
  private drained: Promise<void> = Promise.resolve();

  constructor(
    private readonly config: ElectionConfig,
    private readonly dependencies: Pick<ElectorDependencies, 'clock' | 'observer'>,
    private readonly leadsFromTheStart: boolean,
    private readonly closeTimeoutMs = CLOSE_TIMEOUT_MS,
  ) {}

  get role(): string {
    return this.config.role;
  }

  get term(): Term | undefined {
    return this.current?.term;
  }

  get openTerm(): Term | undefined {
    return this.term;
  }

  get leader(): string | undefined {
    return this.current === undefined ? this.otherLeader : this.config.identity;
  }

  get leaderAddress(): string | undefined {
    return this.isLeader() ? this.config.address : undefined;
  }

  isLeader(): boolean {
    return this.current !== undefined;
  }

  remainingMs(): number {
    return this.current === undefined ? 0 : this.config.renewDeadlineMs;
  }

  heldForMs(): number {
    return this.remainingMs();
  }

  track(work: PromiseLike<unknown>): void {
    this.work.track(work);
  }

  start(): void {
    if (this.candidacy !== 'idle') return;
    this.candidacy = 'contending';
    if (this.leadsFromTheStart) this.begin();
    else if (this.otherLeader !== undefined) this.tellLeader();
  }

  /**
   * Waits for the work of the last term, as the real one does.
   * @throws Error where a real process could not be leader
   */
  async grant(): Promise<Term> {
    await this.drained;
    if (this.current !== undefined) return this.current.term;
    const reason = REASONS_NOT_TO_LEAD[this.candidacy];
    if (reason !== undefined) throw new Error(`role ${JSON.stringify(this.role)} ${reason}`);
    return this.begin();
  }

  /** Leadership has ended when this returns; settles when handlers and work in flight have ended. */
  async revoke(reason: RevocationReason): Promise<void> {
    this.end(reason);
    await this.drained;
  }

  setLeader(identity: string | undefined): void {
    if (this.current !== undefined && identity !== this.config.identity) {
      const fix = `call revoke('superseded') first`;
      throw new Error(`role ${JSON.stringify(this.role)} is led by this process: ${fix}`);
    }
    if (this.current !== undefined || identity === this.otherLeader) return;
    this.otherLeader = identity;
    if (this.candidacy !== 'idle') this.tellLeader();
  }

  stepDown(
    _cooldownMs: number,
    reason: Extract<RevocationReason, 'stepped-down' | 'handler-failed'> = 'stepped-down',
  ): boolean {
    return this.end(reason);
  }

  nominate(): void {}

  /** There is no record to name it, and none to wait out. */
  setContainer(): void {}

  containerEnded(): void {}

  /** Decides nothing: who leads is the test's choice. */
  setEligible(isEligible: boolean): void {
    this.isEligible = isEligible;
  }

  suspend(): void {
    if (this.candidacy !== 'stopped') this.candidacy = 'suspended';
    this.end('suspended');
  }

  /** No other process competes. */
  setCrowd(): void {}

  resume(): void {
    if (this.candidacy === 'suspended') this.candidacy = 'contending';
  }

  /**
   * Waits in real time, so that `afterAll(() => app.close())` ends even if no test moves the manual clock, and
   * even if the runner's timers are faked.
   */
  async drain(): Promise<boolean> {
    this.candidacy = 'stopped';
    this.end('shutdown');
    let bound: NodeJS.Timeout | undefined;
    const timedOut = new Promise<boolean>((resolve) => {
      bound = setTimeout(() => resolve(false), this.closeTimeoutMs);
    });
    const hasEnded = await Promise.race([this.drained.then(() => true), timedOut]);
    clearTimeout(bound);
    if (!hasEnded) {
      const running = this.work.unfinished();
      const error = new WorkLeftRunningError(this.role, this.terms, this.closeTimeoutMs, running);
      this.dependencies.observer.onNotice?.({ kind: 'failed', error });
    }
    return hasEnded;
  }

  release(): Promise<void> {
    this.candidacy = 'stopped';
    this.end('shutdown');
    return Promise.resolve();
  }

  private begin(): Term {
    const { clock, observer } = this.dependencies;
    this.terms += 1;
    this.current = openTerm({
      role: this.role,
      number: this.terms,
      fencingToken: BigInt(this.terms),
      holderIdentity: this.config.identity,
      grantedAt: new Date(clock.wallMicros() / 1_000),
    });
    const { term } = this.current;
    this.otherLeader = undefined;
    this.work.trackAs('@OnGranted() handlers', observer.onGranted?.(term));
    this.tellLeader();
    return term;
  }

  private end(reason: RevocationReason): boolean {
    if (this.current === undefined) return false;
    const { term, abort } = this.current;
    this.current = undefined;
    abort.abort(new LeadershipRevokedError(this.role, term.number, reason));
    this.work.trackAs(
      '@OnRevoked() handlers',
      this.dependencies.observer.onRevoked?.(term, reason),
    );
    this.drained = this.work.ended();
    this.tellLeader();
    return true;
  }

  private tellLeader(): void {
    const { leader } = this;
    const notice = { kind: 'leader-changed', leader, application: undefined } as const;
    this.dependencies.observer.onNotice?.(notice);
  }
}

const REASONS_NOT_TO_LEAD = {
  idle: 'does not compete yet: initialise the application first, or use new TestElection({ isLeader: true })',
  contending: undefined,
  suspended: 'has suspended its candidacy: call resume() on its LeadershipService first',
  stopped: 'belongs to an application that is shutting down',
} as const;
