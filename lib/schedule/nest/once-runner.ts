import { onAbort } from '../../core/abort-signal.js';
import type { Clock } from '../../core/clock.js';
import type { ReadOutcome, ResourceLock } from '../../core/resource-lock.js';
import type { Term } from '../../core/term.js';
import { LeaderElector } from '../../elector/leader-elector.js';
import { closeInTime } from '../../elector/lock-requests.js';
import { within } from '../../elector/work-in-flight.js';
import { kernelRandom } from '../../locks/kernel-entropy.js';
import type { LockOfLeaseBeside } from '../../locks/lock-selection.js';
import type { RoleElection } from '../../nest/role-election.js';
import type { Compete, RunnerElection } from '../once/once-candidacy.js';
import { ONCE_SUFFIX, onceLeaseName, onceLeaseSuffix } from '../once/once-lease.js';

export interface RunnerListener {
  /** This process competes for the lease of the key. */
  onCompeting(key: string, lease: string): void;
  onError(error: Error): void;
}

/** Elections like that of a role, each for the lease of one key. */
export class OnceRunners {
  /** Locks that their factory has not made yet, by key: it is not asked again before. */
  private readonly coming = new Map<string, Promise<LockOfLeaseBeside>>();

  constructor(
    private readonly election: RoleElection,
    private readonly listener: RunnerListener,
  ) {}

  leaseOf(key: string): string {
    return onceLeaseName(this.election.options.leaseName, key);
  }

  readonly compete: Compete = async (key, onGranted, signal) => {
    const { activity, clock, options } = this.election;
    const { requestTimeoutMs, role } = options;
    const { lock, isOwnLease } = await this.lockFor(key, signal);
    const close = async (): Promise<void> => {
      try {
        await closeInTime(() => lock.close?.(), clock, requestTimeoutMs);
      } catch (error) {
        this.listener.onError(error as Error);
      }
    };
    let isOther: boolean | undefined = isOwnLease;
    if (!isOwnLease) {
      try {
        isOther = await this.isOtherLease(lock);
      } catch (error) {
        await close();
        throw error;
      }
    }
    const granted = new GrantedTerms(onGranted, isOther === true);
    const lease = lock.describe();
    const competingSince = clock.now();
    let askedAt = competingSince;
    const elector = new LeaderElector(
      {
        ...options,
        role: `${role}-${ONCE_SUFFIX}`,
        identity: this.identity,
        isLockInProcess: lock.isInProcess === true,
      },
      {
        lock,
        clock,
        random: kernelRandom,
        observer: {
          onRequest: ({ purpose }) => {
            if (purpose === 'acquire') askedAt = clock.now();
          },
          onGranted: (term) => {
            activity.grantedBeside(term, lease, { competingSince, askedAt });
            granted.begin(term);
            if (granted.isKnown) return;
            // Nothing was there to compare before this lease was made.
            void this.isOtherLease(lock).then(
              (isOtherNow) => {
                if (isOtherNow === true) granted.open(term);
                else elector.stepDown(options.leaseDurationMs);
              },
              (error: Error) => {
                this.listener.onError(error);
                elector.suspend();
              },
            );
          },
          onNotice: (notice) => {
            if (notice.kind === 'failed') this.listener.onError(notice.error);
          },
        },
      },
    );
    elector.start();
    this.listener.onCompeting(key, lease);
    const runner: RunnerElection = {
      get term() {
        return granted.isKnown ? elector.term : undefined;
      },
      track: (work) => elector.track(work),
      drain: () => elector.drain(),
      async end() {
        await elector.release();
        await close();
      },
    };
    return runner;
  };

  /** A factory that ignores the name it is asked for makes the lease of the role, whose holder must not look like this. */
  private get identity(): string {
    return `${this.election.options.identity}_${ONCE_SUFFIX}`;
  }

  /** A factory of the user's may take long, or never answer. What it makes too late is used next time, or closed. */
  private async lockFor(key: string, signal: AbortSignal): Promise<LockOfLeaseBeside> {
    const { clock, lockBeside, options } = this.election;
    const { requestTimeoutMs, leaseName } = options;
    const coming =
      this.coming.get(key) ?? lockBeside!(onceLeaseSuffix(leaseName, key), this.identity);
    this.coming.set(key, coming);
    const late = (): Promise<never> => {
      this.closeUnlessUsed(key, coming, signal);
      const text = `the factory given as option "lock" has made no lock for ${this.leaseOf(key)} within ${requestTimeoutMs} ms (requestTimeoutMs)`;
      return Promise.reject(
        new Error(`${text}, so this replica does not run what needs that lease.`),
      );
    };
    try {
      const made = await within(clock, requestTimeoutMs, coming, late);
      this.coming.delete(key);
      return made;
    } catch (error) {
      coming.catch(() => this.coming.delete(key));
      throw error;
    }
  }

  private closeUnlessUsed(
    key: string,
    coming: Promise<LockOfLeaseBeside>,
    signal: AbortSignal,
  ): void {
    const { clock, options } = this.election;
    const close = async (): Promise<void> => {
      const { lock } = await coming;
      if (this.coming.get(key) !== coming) return;
      this.coming.delete(key);
      await closeInTime(() => lock.close?.(), clock, options.requestTimeoutMs);
    };
    onAbort(
      signal,
      () => void close().catch((error: unknown) => this.listener.onError(error as Error)),
    );
  }

  /**
   * By the uid of what is stored: two names for one object show one. Undefined while that cannot be told.
   * @throws Error if it is the lease of the role
   */
  private async isOtherLease(lock: ResourceLock): Promise<true | undefined> {
    const { clock, lock: ownLock, options } = this.election;
    const [beside, own] = await Promise.all(
      [lock, ownLock].map((each) => readInTime(each, clock, options.requestTimeoutMs)),
    );
    if (beside?.kind !== 'found' || own === undefined || own.kind === 'failed') return undefined;
    if (own.kind === 'absent' || own.stored.uid !== beside.stored.uid) return true;
    throw new Error(
      `${lock.describe()}: the factory given as option "lock" returns the object of the role for another lease too, and ` +
        'work that runs once needs a lease of its own. Fix: make the lock from requester.leaseName, in an object of that ' +
        'name, or give the lock leaseBeside(suffix, identity).',
    );
  }
}

/** The terms of an election, told once it is known that its lease is not another one's. */
class GrantedTerms {
  private term: Term | undefined;

  constructor(
    private readonly tell: (term: Term) => void,
    public isKnown: boolean,
  ) {}

  begin(term: Term): void {
    this.term = term;
    if (this.isKnown) this.tell(term);
  }

  open(term: Term): void {
    if (this.isKnown || this.term !== term) return;
    this.isKnown = true;
    if (!term.signal.aborted) this.tell(term);
  }
}

/** Undefined if it gave no answer. */
async function readInTime(
  lock: ResourceLock,
  clock: Clock,
  timeoutMs: number,
): Promise<ReadOutcome | undefined> {
  const abort = new AbortController();
  try {
    return await within<ReadOutcome | undefined>(
      clock,
      timeoutMs,
      lock.read({ timeoutMs, signal: abort.signal }),
      () => undefined,
    );
  } catch {
    // What the election itself asks for fails alike, and is reported.
    return undefined;
  } finally {
    abort.abort();
  }
}
