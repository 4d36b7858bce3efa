import type { FaultKind } from './fault.js';

/** What is wrong at present between one candidate and the API server. */
export class Link {
  private readonly until = new Map<FaultKind, number>();
  /** When the last of it is over. */
  private quietFrom = 0;
  private readonly severities = new Map<FaultKind, number>();

  begin(kind: FaultKind, until: number, severity: number): void {
    this.until.set(kind, Math.max(until, this.until.get(kind) ?? 0));
    this.severities.set(kind, severity);
    this.quietFrom = Math.max(this.quietFrom, until);
  }

  suffers(kind: FaultKind, now: number): boolean {
    return now < this.quietFrom && now < (this.until.get(kind) ?? 0);
  }

  endOf(kind: FaultKind): number {
    return this.until.get(kind) ?? 0;
  }

  /** How long ago it was over; below zero while it lasts, infinite if it never began. */
  sinceEndOf(kind: FaultKind, now: number): number {
    return now - (this.until.get(kind) ?? -Infinity);
  }

  severity(kind: FaultKind): number {
    return this.severities.get(kind) ?? 0;
  }
}
