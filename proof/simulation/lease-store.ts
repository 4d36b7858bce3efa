import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';

export interface StoredVersion {
  readonly lease: ObservedLease | null;
  readonly revision: bigint;
}

/** What a write did. `unchanged`: it equals what is stored, so nothing was written (A4). */
export type ApplyResult = 'applied' | 'unchanged' | 'conflict' | 'absent';

/** What becomes of a write on its way to the store; `touches`: something else of the object is changed as well. */
export interface StoredRecord {
  readonly record: LeaseRecord;
  readonly touches: boolean;
}

export type Admission = (sent: LeaseRecord, former: LeaseRecord | undefined) => StoredRecord;

const AS_SENT: Admission = (record) => ({ record, touches: false });

/** One Lease as the API server keeps it: compare-and-set on uid and revision (A1, A3), no-op writes (A4). */
export class LeaseStore {
  lease: ObservedLease | null = null;
  /** Which process wrote the present timing key, and when in true time; null for people and strangers. */
  writer: number | null = null;
  writtenAt = 0;
  /** When the writer itself wrote, whatever people have edited since. */
  wroteItselfAt = 0;
  /** When people, or a webhook, last edited the lease. */
  editedAt = -Infinity;
  revision = 0n;
  /** Revision of the last change of holder, term or duration, of a deletion or of an edit by hand. */
  changedHandsAt = 0n;
  /** How often the lease has changed hands, or was changed by people. */
  news = 0;
  private uids = 0;
  /** Who had written, and when, what people have changed since. */
  private readonly editedAway = new Map<string, { writer: number | null; writtenAt: number }>();
  /** The part of the timing key that renewals leave as it is. */
  private termKey: { uid: string; record: LeaseRecord; text: string } | undefined;
  readonly history: StoredVersion[] = [];
  /** The last version without a holder that somebody came too late for, and who did. */
  contested: { readonly lease: ObservedLease; readonly losers: Set<number> } | undefined;

  cameTooLate(loser: number, lease: ObservedLease): void {
    if (lease.record.holderIdentity !== '') return;
    if (this.contested?.lease.revision !== lease.revision) {
      this.contested = { lease, losers: new Set() };
    }
    this.contested.losers.add(loser);
  }

  create(
    record: LeaseRecord,
    writer: number | null,
    now: number,
    admit: Admission = AS_SENT,
  ): ApplyResult {
    if (this.lease !== null) return 'conflict';
    this.uids++;
    const stored = admit(record, undefined).record;
    this.putAdmitted(record, stored, `uid-${this.uids}`, writer, now);
    return 'applied';
  }

  /** Without a uid, a write to a deleted object makes it anew whatever version it expects (A3). */
  replace(
    record: LeaseRecord,
    expected: { readonly uid: string | undefined; readonly revision: bigint },
    writer: number | null,
    now: number,
    admit: Admission = AS_SENT,
  ): ApplyResult {
    const { lease } = this;
    if (lease === null) {
      if (expected.uid !== undefined) return 'absent';
      return this.create(record, writer, now, admit);
    }
    if (expected.uid !== undefined && lease.uid !== expected.uid) return 'conflict';
    if (lease.revision !== expected.revision) return 'conflict';
    const { record: stored, touches } = admit(record, lease.record);
    if (!sameRecord(lease.record, stored)) {
      this.putAdmitted(record, stored, lease.uid, writer, now);
    } else if (touches) this.touch();
    else return 'unchanged';
    return 'applied';
  }

  /** By hand: no expectation. */
  edit(change: Partial<LeaseRecord>, now: number): void {
    if (this.lease === null) return;
    this.editedAt = now;
    const { record, uid, timingKey } = this.lease;
    this.editedAway.set(timingKey, { writer: this.writer, writtenAt: this.writtenAt });
    const keepsHolder = (change.holderIdentity ?? record.holderIdentity) === record.holderIdentity;
    const { wroteItselfAt } = this;
    this.put({ ...record, ...change }, uid, keepsHolder ? this.writer : null, now);
    if (keepsHolder) this.wroteItselfAt = wroteItselfAt;
    this.changedHandsAt = this.revision;
    this.news++;
    // Edited back: to whoever did not see it in between nothing has happened, and nobody has written meanwhile.
    const origin = this.editedAway.get(this.lease.timingKey);
    if (origin !== undefined) Object.assign(this, origin);
  }

  /** A change of metadata: a new version with the same timing key. */
  touch(): void {
    if (this.lease === null) return;
    this.revision++;
    this.lease = { ...this.lease, revision: this.revision };
    this.remember();
  }

  /** A request to the leader: a mark that changes no timing. */
  mark(request: LeaseRecord['request']): void {
    if (this.lease === null) return;
    this.revision++;
    const record = { ...this.lease.record, request };
    this.lease = { ...this.lease, record, revision: this.revision };
    this.remember();
  }

  delete(now: number): void {
    if (this.lease === null) return;
    this.revision++;
    this.lease = null;
    this.writer = null;
    this.writtenAt = now;
    this.changedHandsAt = this.revision;
    this.news++;
    this.remember();
  }

  /** From a backup: revisions go back too. */
  restore(version: StoredVersion, now: number): void {
    this.news++;
    this.lease = version.lease;
    this.revision = version.revision;
    this.writer = null;
    this.writtenAt = now;
  }

  private putAdmitted(
    sent: LeaseRecord,
    stored: LeaseRecord,
    uid: string,
    writer: number | null,
    now: number,
  ): void {
    const keepsHolder = stored.holderIdentity === sent.holderIdentity;
    this.put(stored, uid, keepsHolder ? writer : null, now);
    if (sameRecord(sent, stored)) return;
    // To its holder it is lost.
    this.changedHandsAt = this.revision;
    this.editedAt = now;
  }

  private put(record: LeaseRecord, uid: string, writer: number | null, now: number): void {
    this.revision++;
    const former = this.lease?.record;
    const keepsKey = former !== undefined && this.lease!.uid === uid && sameTiming(former, record);
    const timingKey = keepsKey ? this.lease!.timingKey : this.timingKeyOf(uid, record);
    if (!keepsKey) {
      this.writer = writer;
      this.writtenAt = now;
      this.wroteItselfAt = now;
    }
    if (
      former?.holderIdentity !== record.holderIdentity ||
      former.leaseTransitions !== record.leaseTransitions
    ) {
      this.changedHandsAt = this.revision;
      this.news++;
    }
    this.lease = { record, uid, revision: this.revision, timingKey };
    this.remember();
  }

  /** What a term keeps is written out once: numbers of that size take their time. */
  private timingKeyOf(uid: string, record: LeaseRecord): string {
    let { termKey } = this;
    if (termKey?.uid !== uid || !sameTerm(termKey.record, record)) {
      const { holderIdentity, acquireTimeMicros, leaseDurationSeconds, leaseTransitions } = record;
      const text = `${uid}|${holderIdentity}|${microsText(acquireTimeMicros)}|${leaseDurationSeconds}|${leaseTransitions}|`;
      termKey = { uid, record, text };
      this.termKey = termKey;
    }
    return termKey.text + microsText(record.renewTimeMicros);
  }

  private remember(): void {
    this.history.push({ lease: this.lease, revision: this.revision });
    if (this.history.length > 128) this.history.splice(0, 64);
  }
}

/** In two parts, because a number of that size takes twice as long to be written out. */
function microsText(micros: number | null): string {
  if (micros === null) return '';
  const seconds = Math.floor(micros / 1_000_000);
  return `${seconds}.${micros - seconds * 1_000_000}`;
}

export function sameRecord(a: LeaseRecord, b: LeaseRecord): boolean {
  return a.releasedTransitions === b.releasedTransitions && sameTiming(a, b);
}

/** Whether two records of one object have the same timing key. */
function sameTiming(a: LeaseRecord, b: LeaseRecord): boolean {
  return a.renewTimeMicros === b.renewTimeMicros && sameTerm(a, b);
}

export function sameTerm(a: LeaseRecord, b: LeaseRecord): boolean {
  return (
    a.holderIdentity === b.holderIdentity &&
    a.acquireTimeMicros === b.acquireTimeMicros &&
    a.leaseDurationSeconds === b.leaseDurationSeconds &&
    a.leaseTransitions === b.leaseTransitions
  );
}
