import { Injectable } from '@nestjs/common';
import { LeaderElectionOptionsError, type OptionFault } from '../../core/errors.js';
import type { Term } from '../../core/term.js';
import { LeaderElector } from '../../elector/leader-elector.js';
import { closeInTime } from '../../elector/lock-requests.js';
import { atHome } from '../../elector/system-clock.js';
import { kernelRandom, kernelUuid } from '../../locks/kernel-entropy.js';
import { runInTerm } from '../../election/current-term.js';
import { ElectionStoppedError } from '../../core/errors.js';
import type { RoleElection } from '../../nest/role-election.js';
import { runToEnd } from '../../nest/run-to-end.js';
import { OnceLedger } from '../once/once-ledger.js';
import type { OnceRecord, OnceState } from '../once/once-record.js';
import { type OnceResult, OnceRole, type RunnerElection } from '../once/once-role.js';
import type { OnceWork } from '../once/once-work.js';
import { ONCE_SUFFIX, RUNNER_SUFFIX } from './leader-once.decorator.js';
import { type ReadOnce, readOnce, type WrittenOnce } from './leader-once.options.js';
import { OnceLogger, OnceReporter } from './once-logger.js';
import { RunEvents } from './run-events.js';
import { RETRY_MS, RoleSchedules } from './role-schedules.js';

/** What is recorded of work that runs once: the newest version that was ever claimed. */
export interface OnceStatus {
  /** The key of the work. */
  readonly key: string;
  /** The version, as text: `1.4.0` and `1.4` are both `1.4`. */
  readonly version: string;
  /**
   * `started`: claimed, and its end is not recorded. `interrupted`: its process died or lost leadership before it had
   * ended. `returned`: claimed and handed back before it was started, so the next replica runs it.
   */
  readonly state: OnceState;
  /** How many runs of this version were claimed, from 1. */
  readonly attempt: number;
  /** The replica that claimed it last. */
  readonly holderIdentity: string;
  /** When it was claimed, by that replica's wall clock. */
  readonly startedAt: Date;
  /** When its end was recorded; null while there is none. */
  readonly endedAt: Date | null;
  /** One line, if it failed or was interrupted; otherwise null. */
  readonly reason: string | null;
}

/** Whether this replica may serve, as far as work goes that is to run before. */
export interface OnceReadiness {
  /** True if all work with `waitForOthers` has succeeded in the fleet, or has been superseded by a newer version. */
  readonly isReady: boolean;
  /** One line for each that is not: key, version, and who runs it or how it failed. */
  readonly waitingFor: readonly string[];
}

interface RegisteredOnce {
  readonly read: ReadOnce;
  readonly election: RoleElection;
  /** Undefined until the application has been initialised. */
  work: OnceWork | undefined;
}

/** The work of one application that runs once, decorated or given at run time. */
@Injectable()
export class OnceWorks {
  private readonly decorated = new Map<string, RegisteredOnce>();
  private readonly byRole = new Map<string, { role: OnceRole; ledger: OnceLedger }>();
  private isStopped = false;

  constructor(
    private readonly schedules: RoleSchedules,
    private readonly events: RunEvents,
  ) {}

  /** The decorated ones, before any of them begins. */
  register(written: readonly WrittenOnce[]): OptionFault[] {
    return written.flatMap((each) => {
      const found = this.read(each);
      if (Array.isArray(found)) return found;
      const { key } = found.read.definition;
      if (this.decorated.has(key)) return [alike(each.place, key)];
      this.decorated.set(key, found);
      return [];
    });
  }

  /**
   * All `onModuleInit` hooks have ended. Resolves when what the start has to wait for is over; what fails stops what has
   * begun, as the application will not start.
   */
  async begin(): Promise<void> {
    const waiting = [...this.decorated.values()].map(async (registered) => {
      const { read, election } = registered;
      const { role } = this.of(election);
      const work = atHome(() => role.add(read.definition));
      registered.work = work;
      if (read.waitForOthers === true) await role.wait(work, read.waitTimeoutMs);
      else if (read.waitForOthers === 'readiness') this.tellIfLate(role, work, read);
    });
    try {
      await Promise.all(waiting);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async once(written: WrittenOnce): Promise<OnceResult> {
    if (this.isStopped) throw shuttingDown(written.place);
    const found = this.read(written);
    if (Array.isArray(found)) throw new LeaderElectionOptionsError(found);
    const { definition, waitTimeoutMs } = found.read;
    const { role } = this.of(found.election);
    const isAlike = this.decorated.has(definition.key) || role.outstanding(definition.key);
    if (isAlike) throw new LeaderElectionOptionsError([alike(written.place, definition.key)]);
    return role.wait(
      atHome(() => role.add(definition)),
      waitTimeoutMs,
    );
  }

  /** @param role undefined: the only one, or that of the decorated work with this key */
  async inspect(key: string, role: string | undefined): Promise<OnceStatus | undefined> {
    const place = 'LeaderSchedule.inspectOnce()';
    const election = this.decorated.get(key)?.election ?? this.find(role, place);
    if ('field' in election) throw new LeaderElectionOptionsError([election]);
    const record = await this.of(election).ledger.inspect(key);
    return record && statusOf(key, record);
  }

  readiness(): OnceReadiness {
    const waitingFor = [...this.decorated.values()]
      .filter(({ read }) => read.waitForOthers !== false)
      .map(({ read, work }) => reasonNotReady(read, work))
      .filter((reason) => reason !== undefined);
    return { isReady: waitingFor.length === 0, waitingFor };
  }

  private async stop(): Promise<void> {
    this.isStopped = true;
    await Promise.all([...this.byRole.values()].map(({ role }) => role.stop()));
  }

  private read(written: WrittenOnce): RegisteredOnce | OptionFault[] {
    const read = readOnce(written);
    if (Array.isArray(read)) return read;
    const election = this.find(read.role, written.place);
    return 'field' in election ? [election] : { read, election, work: undefined };
  }

  private find(role: string | undefined, place: string): RoleElection | OptionFault {
    const election = this.schedules.find(role, place);
    if ('field' in election || election.lockBeside !== undefined) return election;
    return {
      field: `${place}: lock`,
      value: election.lock,
      rule: `the lock of role ${JSON.stringify(election.role)} is one object for one lease, and work that runs once needs a second lease`,
      fix: 'give the option lock a factory, (requester) => yourLock(requester), or use one of the locks of this library',
    };
  }

  private of(election: RoleElection): { readonly role: OnceRole; readonly ledger: OnceLedger } {
    const known = this.byRole.get(election.role);
    if (known !== undefined) return known;
    const made = onceRoleOf(election, this.events);
    this.byRole.set(election.role, made);
    election.drainsWith(async () => {
      this.isStopped = true;
      await made.role.stop();
    });
    return made;
  }

  private tellIfLate(role: OnceRole, work: OnceWork, { waitTimeoutMs }: ReadOnce): void {
    const logger = new OnceLogger('', work.key);
    role.wait(work, waitTimeoutMs).catch((error: unknown) => {
      if (!(error instanceof ElectionStoppedError)) logger.notReady(error);
    });
  }
}

function onceRoleOf(
  election: RoleElection,
  events: RunEvents,
): { role: OnceRole; ledger: OnceLedger } {
  const { clock, options, lock } = election;
  const { requestTimeoutMs, renewDeadlineMs, leaseDurationMs, retryPeriodMs } = options;
  const log = new OnceLogger(election.role);
  const onError = (error: Error): void => log.failed(error);
  const ledger = new OnceLedger(lock.sibling!(ONCE_SUFFIX), clock, {
    requestTimeoutMs,
    longestRequestMs: renewDeadlineMs,
    retryMs: RETRY_MS,
    longestRetryMs: leaseDurationMs,
    random: kernelRandom,
    onError,
  });
  const role = new OnceRole({
    clock,
    ledger,
    lookMs: retryPeriodMs,
    compete: (onGranted) => competeBeside(election, onGranted, onError),
    onError,
    stopped: () => new ElectionStoppedError(election.role),
    work: {
      nonce: kernelUuid,
      leaseDurationMs,
      lookMs: retryPeriodMs,
      observer: (key) => new OnceReporter(election.source, events, key),
      call: async ({ run }, context) =>
        runInTerm(context.term, () => runToEnd(run(context), context.signal)),
    },
  });
  return { role, ledger };
}

/** An election like that of the role, for a lease of its own. */
async function competeBeside(
  { options, clock, lock: ownLock, lockBeside }: RoleElection,
  onGranted: (term: Term) => void,
  onError: (error: Error) => void,
): Promise<RunnerElection> {
  const { requestTimeoutMs, role } = options;
  const lock = await lockBeside!(RUNNER_SUFFIX);
  if (lock.describe() === ownLock.describe()) {
    throw new Error(
      `${lock.describe()}: the factory given as option "lock" returns the lease of the role for another name too, and ` +
        'work that runs once needs a lease of its own. Fix: make the lock from requester.leaseName.',
    );
  }
  const config = {
    ...options,
    role: `${role}-${ONCE_SUFFIX}`,
    isLockInProcess: lock.isInProcess === true,
  };
  const elector = new LeaderElector(config, {
    lock,
    clock,
    random: kernelRandom,
    observer: {
      onGranted,
      onNotice: (notice) => {
        if (notice.kind === 'failed') onError(notice.error);
      },
    },
  });
  elector.start();
  return {
    get term() {
      return elector.term;
    },
    track: (work) => elector.track(work),
    drain: () => elector.drain(),
    async end() {
      await elector.release();
      try {
        await closeInTime(() => lock.close?.(), clock, requestTimeoutMs);
      } catch (error) {
        onError(error as Error);
      }
    },
  };
}

function reasonNotReady({ definition }: ReadOnce, work: OnceWork | undefined): string | undefined {
  const { key, version } = definition;
  const outcome = work?.ended;
  if (outcome?.end === 'succeeded' || outcome?.end === 'superseded') return undefined;
  const what = `${JSON.stringify(key)}, version ${version}`;
  if (outcome !== undefined) {
    return `${what} ${outcome.end} on ${outcome.record.holderIdentity}: ${outcome.record.reason}`;
  }
  const record = work?.record;
  const isStarted = record?.version === version && record.state === 'started';
  return isStarted ? `${what} runs on ${record.holderIdentity}` : `${what} has not been started`;
}

function statusOf(key: string, record: OnceRecord): OnceStatus {
  const { version, state, attempt, holderIdentity, startedAt, endedAt, reason } = record;
  return {
    key,
    version,
    state,
    attempt,
    holderIdentity,
    startedAt: new Date(startedAt),
    endedAt: endedAt === null ? null : new Date(endedAt),
    reason,
  };
}

function alike(place: string, key: string): OptionFault {
  return {
    field: `${place}: key`,
    value: key,
    rule: 'must be unique among the work of the application that runs once',
    fix: 'give one of them another key; of one key only the newest version can be recorded',
  };
}

function shuttingDown(place: string): LeaderElectionOptionsError {
  const rule = 'cannot be called while the application is shutting down';
  return new LeaderElectionOptionsError([
    { field: place, value: undefined, rule, fix: 'call it earlier' },
  ]);
}
