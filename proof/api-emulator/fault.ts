import type { LoggedRequest } from './request-log.js';

/** What goes wrong with a request. */
export type FaultKind =
  /** Answers with this instead of its own answer. A string body goes out as it is. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Never answers; the connection stays open. */
  | { readonly kind: 'hang' }
  /** Answers after so many milliseconds. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Resets the connection without an answer. */
  | { readonly kind: 'reset' }
  /** Closes the connection without an answer. */
  | { readonly kind: 'close' }
  /** Sends the headers and half of the body, then resets. */
  | { readonly kind: 'reset-in-body' }
  /** Sends the headers and half of the body, then nothing. */
  | { readonly kind: 'hang-in-body' };

export interface Fault {
  readonly on?: (request: LoggedRequest) => boolean;
  /** How many requests it meets; once unless said. */
  readonly times?: number;
  /** True: what was asked is done first, as by a server that fails while it answers. */
  readonly applies?: boolean;
  readonly fault: FaultKind;
}

/** The faults still to come, met in the order they were given. */
export class FaultScript {
  private pending: (Fault & { left: number })[] = [];

  add(fault: Fault): void {
    this.pending.push({ ...fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.pending = [];
  }

  take(request: LoggedRequest): Fault | undefined {
    const found = this.pending.find(({ on }) => on?.(request) ?? true);
    if (found !== undefined && --found.left <= 0) {
      this.pending = this.pending.filter((fault) => fault !== found);
    }
    return found;
  }
}
