import type { LedgerChange } from '../claim/ledger-change.js';

export interface SubmitOptions {
  /** On the clock's `now()`: when to give up, in milliseconds. */
  readonly deadline: number;
  readonly signal?: AbortSignal;
}

/** `unresolved`: nothing is known. The change may be in the store, may come to be, or never. */
export type Submitted<R> =
  { readonly kind: 'settled'; readonly result: R } | { readonly kind: 'unresolved' };

/**
 * `unreadable`: its record, or the document, is not this version's to change. `no-room`: it does not fit at present.
 * `rejected`: the store has refused it alone.
 */
export interface Refusal {
  readonly kind: 'unreadable' | 'no-room' | 'rejected';
  readonly why: string;
}

/** A change with whoever waits for it. */
export class PendingChange {
  /** Part of the write under way: aborting comes too late, its outcome has to be heard. */
  isInFlight = false;
  /** Why it could not be part of the last write; undefined if it was, or may be of the next. */
  refusal: Refusal | undefined;
  /** When it may be tried again after the store has refused it alone, on the clock's `now()`. */
  rejectedUntil = -Infinity;
  private stopListening: (() => void) | undefined;

  constructor(
    readonly change: LedgerChange<unknown>,
    private readonly options: SubmitOptions,
    private readonly resolve: (result: Submitted<unknown>) => void,
  ) {}

  get deadline(): number {
    return this.options.deadline;
  }

  isOver(now: number): boolean {
    return now >= this.options.deadline || this.options.signal?.aborted === true;
  }

  onAbort(listener: () => void): void {
    const { signal } = this.options;
    if (signal === undefined) return;
    signal.addEventListener('abort', listener, { once: true });
    this.stopListening = () => signal.removeEventListener('abort', listener);
  }

  settle(result: unknown): void {
    this.stopListening?.();
    this.resolve({ kind: 'settled', result });
  }

  giveUp(): void {
    this.stopListening?.();
    this.resolve({ kind: 'unresolved' });
  }
}
