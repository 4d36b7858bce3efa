import { Injectable } from '@nestjs/common';
import {
  ElectionStoppedError,
  LeaderElectionOptionsError,
  type OptionFault,
} from '../../core/errors.js';
import { messageOf } from '../../core/thrown-value.js';
import { atHome } from '../../elector/system-clock.js';
import { kernelRandom, kernelUuid } from '../../locks/kernel-entropy.js';
import { runInTerm } from '../../election/current-term.js';
import type { RoleElection } from '../../nest/role-election.js';
import { runToEnd } from '../../nest/run-to-end.js';
import { OnceTimeoutError } from '../once/once-errors.js';
import { ONCE_SUFFIX, onceLeaseName } from '../once/once-lease.js';
import { OnceLedger } from '../once/once-ledger.js';
import type { OnceRecord, OnceState } from '../once/once-record.js';
import { type OnceResult, OnceRole } from '../once/once-role.js';
import type { OnceWork } from '../once/once-work.js';
import { type ReadOnce, readOnce, type WrittenOnce } from './leader-once.options.js';
import { OnceLogger, OnceReporter, OnceRoleLogger } from './once-logger.js';
import { OnceRunners } from './once-runner.js';
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
  /** The lease that the replicas compete for which want this key, for permissions that name it. */
  readonly leaseName: string;
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
  readonly place: string;
  readonly election: RoleElection;
  /** Undefined until the application has been initialised. */
  work: OnceWork | undefined;
}

interface OnceOfRole {
  readonly role: OnceRole;
  readonly ledger: OnceLedger;
  readonly log: OnceRoleLogger;
}

/** The work of one application that runs once, decorated or given at run time. */
@Injectable()
export class OnceWorks {
  private readonly decorated = new Map<string, RegisteredOnce>();
  private readonly byRole = new Map<string, OnceOfRole>();
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
      const other = this.decorated.get(key);
      if (other !== undefined) return [alike(each.place, key, other.place)];
      // A constructor or a hook may have called once().
      const isOutstanding = this.byRole.get(found.election.role)?.role.outstanding(key);
      if (isOutstanding !== undefined) return [alike(each.place, key)];
      this.decorated.set(key, found);
      return [];
    });
  }

  /**
   * All `onModuleInit` hooks have ended. Resolves when what the start has to wait for is over. What fails lets nothing more
   * begin, as the application will not start; what runs here ends first, as it may be another version that is used up.
   */
  async begin(): Promise<void> {
    const waits = [...this.decorated.values()].map((registered) => this.beginOne(registered));
    try {
      await Promise.all(waits);
    } catch (first) {
      const ended = Promise.allSettled(waits);
      await this.finish();
      await this.stop();
      const errors = (await ended)
        .map((wait) => (wait.status === 'rejected' ? (wait.reason as unknown) : undefined))
        .filter((error) => error !== undefined && !(error instanceof ElectionStoppedError));
      throw errors.length > 1 ? allOf(errors) : (errors[0] ?? first);
    }
  }

  async once(written: WrittenOnce): Promise<OnceResult> {
    if (this.isStopped) throw shuttingDown(written.place);
    const found = this.read(written);
    if (Array.isArray(found)) throw new LeaderElectionOptionsError(found);
    if (found.election.isStopping) throw shuttingDown(written.place);
    const { definition, waitTimeoutMs } = found.read;
    const { key, version } = definition;
    const { role } = this.of(found.election);
    const outstanding = role.outstanding(key);
    if (outstanding?.isWithdrawn === true && outstanding.definition.version === version) {
      // Its caller has given up, and what it has done here is still to be recorded.
      return role.wait(outstanding, waitTimeoutMs);
    }
    if (this.decorated.has(key) || outstanding !== undefined) {
      throw new LeaderElectionOptionsError([alike(written.place, key)]);
    }
    const work = atHome(() => role.add(definition));
    try {
      return await role.wait(work, waitTimeoutMs);
    } catch (error) {
      if (error instanceof OnceTimeoutError) role.withdraw(work);
      throw error;
    }
  }

  /** @param role undefined: the only one, or that of the decorated work with this key */
  async inspect(key: string, role: string | undefined): Promise<OnceStatus | undefined> {
    const place = 'LeaderSchedule.inspectOnce()';
    const election = this.decorated.get(key)?.election ?? this.find(role, place);
    if ('field' in election) throw new LeaderElectionOptionsError([election]);
    const record = await this.of(election).ledger.inspect(key);
    return record && statusOf(key, record, onceLeaseName(election.options.leaseName, key));
  }

  readiness(): OnceReadiness {
    const waitingFor = [...this.decorated.values()]
      .filter(({ read }) => read.waitForOthers !== false)
      .map(({ read, work }) => reasonNotReady(read, work))
      .filter((reason) => reason !== undefined);
    return { isReady: waitingFor.length === 0, waitingFor };
  }

  private async beginOne(registered: RegisteredOnce): Promise<void> {
    const { read, election } = registered;
    const { role } = this.of(election);
    const work = atHome(() => role.add(read.definition));
    registered.work = work;
    if (read.waitForOthers === true) await role.wait(work, read.waitTimeoutMs);
    else if (read.waitForOthers === 'readiness') void this.untilReady(role, registered, work);
  }

  /** Work that has failed may be repaired, and a run that was given up may yet succeed. */
  private async untilReady(
    role: OnceRole,
    registered: RegisteredOnce,
    begun: OnceWork,
  ): Promise<void> {
    const { definition, waitTimeoutMs } = registered.read;
    for (let work = begun; ; registered.work = work) {
      try {
        await role.wait(work, waitTimeoutMs);
      } catch (error) {
        if (error instanceof ElectionStoppedError) return;
        new OnceLogger(registered.election.source, work.key).notReady(error);
      }
      const { end } = await work.over;
      if (end === 'succeeded' || end === 'superseded') return;
      if (!(await role.repaired(work))) return;
      work = atHome(() => role.add(definition));
    }
  }

  private async finish(): Promise<void> {
    this.isStopped = true;
    const all = [...this.byRole.values()].map(async ({ role, log }) => {
      const finished = role.finish();
      if (role.running.length > 0) log.startFails(role.running);
      await finished;
    });
    await Promise.all(all);
  }

  private async stop(): Promise<void> {
    this.isStopped = true;
    await Promise.all([...this.byRole.values()].map(({ role }) => role.stop()));
  }

  private read(written: WrittenOnce): RegisteredOnce | OptionFault[] {
    const read = readOnce(written);
    if (Array.isArray(read)) return read;
    const election = this.find(read.role, written.place);
    if ('field' in election) return [election];
    return { read, election, place: written.place, work: undefined };
  }

  private find(role: string | undefined, place: string): RoleElection | OptionFault {
    const election = this.schedules.find(role, place);
    if ('field' in election || election.lockBeside !== undefined) return election;
    return {
      field: `${place}: lock`,
      value: election.lock,
      rule: `the lock of role ${JSON.stringify(election.role)} is one object for one lease, and work that runs once needs a second lease`,
      fix: 'give the option lock a factory, (requester) => yourLock(requester), add leaseBeside(suffix, identity) to your lock, or use one of the locks of this library',
    };
  }

  private of(election: RoleElection): OnceOfRole {
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
}

function onceRoleOf(election: RoleElection, events: RunEvents): OnceOfRole {
  const { clock, options, lock } = election;
  const { identity, requestTimeoutMs, renewDeadlineMs, leaseDurationMs, retryPeriodMs } = options;
  const log = new OnceRoleLogger(election.source, clock);
  const onError = (error: Error): void => log.failed(error);
  const ledger = new OnceLedger(lock.sibling!(ONCE_SUFFIX), clock, {
    requestTimeoutMs,
    longestRequestMs: renewDeadlineMs,
    retryMs: RETRY_MS,
    longestRetryMs: leaseDurationMs,
    random: kernelRandom,
    onError,
  });
  const runners = new OnceRunners(election, {
    onCompeting: (key, lease) => log.competes(key, lease),
    onError,
  });
  const role = new OnceRole({
    clock,
    ledger,
    lookMs: retryPeriodMs,
    longestLookMs: leaseDurationMs,
    compete: runners.compete,
    leaseOf: (key) => runners.leaseOf(key),
    onError,
    stopped: () => new ElectionStoppedError(election.role),
    work: {
      nonce: kernelUuid,
      identity,
      leaseDurationMs,
      lookMs: retryPeriodMs,
      observer: (key) => new OnceReporter(election.source, events, key),
      call: async ({ run }, context) => {
        const { key, version, attempt, term, signal } = context;
        const call = { method: key, term, run: { version, attempt, signal } };
        return runInTerm(term, () =>
          election.activity.run(call, () => runToEnd(run(context), signal)),
        );
      },
    },
  });
  return { role, ledger, log };
}

function reasonNotReady({ definition }: ReadOnce, work: OnceWork | undefined): string | undefined {
  const { key, version } = definition;
  const outcome = work?.ended;
  if (outcome?.end === 'succeeded' || outcome?.end === 'superseded') return undefined;
  const what = `${JSON.stringify(key)}, version ${version}`;
  if (outcome !== undefined) {
    return `${what} ${outcome.end} on ${outcome.record.holderIdentity}: ${outcome.record.reason}`;
  }
  const ending = work?.ending;
  if (ending !== undefined)
    return `${what} has ended here (${ending.state}), and that is not recorded yet`;
  const record = work?.record;
  if (record?.state !== 'started') return `${what} has not been started`;
  return record.version === version
    ? `${what} runs on ${record.holderIdentity}`
    : `${what} waits for version ${record.version}, which runs on ${record.holderIdentity}`;
}

function statusOf(key: string, record: OnceRecord, leaseName: string): OnceStatus {
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
    leaseName,
  };
}

function alike(place: string, key: string, otherPlace?: string): OptionFault {
  const fix =
    place === otherPlace
      ? 'provide the class in one module, export it there, and import that module in the others'
      : 'give one of them another key; of one key only the newest version can be recorded';
  return {
    field: `${place}: key`,
    value: key,
    rule: 'must be unique among the work of the application that runs once',
    fix,
  };
}

/** Several works have failed: none of them is to be overlooked. */
function allOf(errors: readonly unknown[]): AggregateError {
  return new AggregateError(errors, errors.map((error) => messageOf(error)).join('\n'));
}

function shuttingDown(place: string): LeaderElectionOptionsError {
  const rule = 'cannot be called while the application is shutting down';
  return new LeaderElectionOptionsError([
    { field: place, value: undefined, rule, fix: 'call it earlier' },
  ]);
}
