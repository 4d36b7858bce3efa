import { distinctUntilChanged, map, Observable, Subject } from 'rxjs';
import type { Leadership, RevocationReason, Term } from '../core/term.js';
import type { LeadershipError } from './leadership-error.js';

/** What `revoked$` carries. */
export interface Revocation {
  readonly term: Term;
  readonly reason: RevocationReason;
}

/** One election as observables. None of them ever errors; all complete when the application has shut down. */
export class LeadershipStreams {
  private readonly changes = new Subject<Leadership>();
  private readonly grants = new Subject<Term>();
  private readonly revocations = new Subject<Revocation>();
  private readonly failures = new Subject<LeadershipError>();
  private last: Leadership;
  private stopped = false;

  readonly granted$ = this.grants.asObservable();
  readonly revoked$ = this.revocations.asObservable();
  readonly errors$ = this.failures.asObservable();
  readonly leadership$ = new Observable<Leadership>((subscriber) => {
    // Followed first: what the subscriber's first call sets off must not be missed.
    const following = this.stopped ? undefined : this.changes.subscribe(subscriber);
    subscriber.next(this.current());
    if (this.stopped) subscriber.complete();
    return following;
  });
  readonly leader$ = this.leadership$.pipe(
    map(({ leader }) => leader),
    distinctUntilChanged(),
  );

  constructor(private readonly current: () => Leadership) {
    this.last = current();
  }

  granted(term: Term): void {
    this.grants.next(term);
    this.changed();
  }

  revoked(term: Term, reason: RevocationReason): void {
    this.revocations.next({ term, reason });
    this.changed();
  }

  failed(error: LeadershipError): void {
    this.failures.next(error);
  }

  /** Tells the current state if it differs from the last one told. */
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
    this.changes.next(next);
  }

  /** This process no longer stands. */
  noMoreGrants(): void {
    this.grants.complete();
  }

  complete(): void {
    this.stopped = true;
    this.grants.complete();
    this.revocations.complete();
    this.changes.complete();
    this.failures.complete();
  }
}
