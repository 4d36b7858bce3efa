import { config, distinctUntilChanged, map, Observable, Subject } from 'rxjs';
import type { Leadership, RevocationReason, Term } from '../core/term.js';
import type { MemberView } from '../core/member.js';
import type { ReportedError } from '../core/errors.js';

/** What `revoked$` carries. */
export interface Revocation {
  /** The term that ended; its signal is aborted. */
  readonly term: Term;
  /** Why it ended. */
  readonly reason: RevocationReason;
}

/** One election as observables. None of them ever fails; all complete when the application has shut down. */
export class LeadershipStreams {
  private readonly changes = new Subject<Leadership>();
  private readonly grants = new Subject<Term>();
  private readonly revocations = new Subject<Revocation>();
  private readonly failures = new Subject<ReportedError>();
  private readonly memberChanges = new Subject<readonly MemberView[] | undefined>();
  private last: Leadership;
  private stopped = false;

  readonly granted$ = this.grants.asObservable();
  readonly revoked$ = this.revocations.asObservable();
  readonly errors$ = this.failures.asObservable();
  readonly leadership$ = new Observable<Leadership>((subscriber) => {
    // This is subscribed first, so that nothing is missed that the subscriber's first call sets off.
    const following = this.stopped ? undefined : this.changes.subscribe(subscriber);
    subscriber.next(this.current());
    if (this.stopped) subscriber.complete();
    return following;
  });
  readonly leader$ = this.leadership$.pipe(
    map(({ leader }) => leader),
    distinctUntilChanged(),
  );

  readonly members$ = new Observable<readonly MemberView[] | undefined>((subscriber) => {
    const following = this.stopped ? undefined : this.memberChanges.subscribe(subscriber);
    subscriber.next(this.currentMembers());
    if (this.stopped) subscriber.complete();
    return following;
  });

  constructor(
    private readonly current: () => Leadership,
    private readonly currentMembers: () => readonly MemberView[] | undefined,
  ) {
    this.last = current();
  }

  granted(term: Term): void {
    tellSubscribers(() => this.grants.next(term));
    this.changed();
  }

  revoked(term: Term, reason: RevocationReason): void {
    tellSubscribers(() => this.revocations.next({ term, reason }));
    this.changed();
  }

  failed(error: ReportedError): void {
    tellSubscribers(() => this.failures.next(error));
  }

  /** Emits the current state if it differs from the last one emitted. */
  changed(): void {
    const next = this.current();
    const { last } = this;
    if (
      next.isLeader === last.isLeader &&
      next.leader === last.leader &&
      next.term === last.term &&
      next.reason === last.reason
    ) {
      return;
    }
    this.last = next;
    tellSubscribers(() => this.changes.next(next));
  }

  membersChanged(): void {
    const members = this.currentMembers();
    tellSubscribers(() => this.memberChanges.next(members));
  }

  /** This process no longer competes. */
  noMoreGrants(): void {
    tellSubscribers(() => this.grants.complete());
  }

  complete(): void {
    this.stopped = true;
    const { grants, revocations, changes, failures, memberChanges } = this;
    for (const stream of [grants, revocations, changes, failures, memberChanges]) {
      tellSubscribers(() => stream.complete());
    }
  }
}

/**
 * rxjs reports what a subscriber throws later, as an unhandled error; under its `useDeprecatedSynchronousErrorHandling`,
 * or for a Subscriber of the user's own, it throws at once, which must not reach the election.
 */
export function tellSubscribers(tell: () => void): void {
  try {
    tell();
  } catch (error) {
    queueMicrotask(() => {
      if (config.onUnhandledError === null) throw error;
      config.onUnhandledError(error);
    });
  }
}
