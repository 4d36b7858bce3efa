import { createHash } from 'node:crypto';
import { withTimeLimit } from '../../core/abort-signal.js';
import type { Clock } from '../../core/clock.js';
import type { JsonDocument } from '../../core/json-document.js';
import type { Store, StoredDocument } from '../../core/resource-lock.js';
import { within } from '../../elector/work-in-flight.js';
import type { JobLedger, Sweep } from './job-ledger.js';
import type { JobRecord } from './job-record.js';
import type { LedgerChange } from './ledger-changes.js';
import { jobNames, readJobRecord } from './ledger-document.js';
import { LedgerMemory } from './ledger-memory.js';
import {
  isCutDown,
  isMark,
  MarkTrim,
  RecordCopy,
  RecordMove,
  type RecordMark,
} from './moved-record.js';
import type { SubmitOptions, Submitted } from './pending-changes.js';
import { type LedgerOptions, ScheduleLedger } from './schedule-ledger.js';

export interface SpreadOptions extends LedgerOptions {
  /** Over how many objects jobs are spread that are not marked yet. */
  readonly objects: number;
  /** Opens one of them; 0 is the one that every role has, and that has the marks. */
  readonly open: (object: number) => Store<JsonDocument, StoredDocument>;
}

/** The object of a job that has no mark yet: a function of its name alone, so that replicas agree. */
export function objectOf(job: string, objects: number): number {
  return createHash('sha256').update(job).digest().readUInt32BE() % objects;
}

/**
 * The records of the jobs of one role, in one object or in several: the first one, and those to which its marks point.
 * Marks are followed with one object too, so that a role can be spread over fewer objects than before.
 *
 * A job moves when this process changes its record for the first time, and only if its new object can be read: a missing
 * permission does not stop it.
 */
export class SpreadLedger implements JobLedger {
  private readonly memory = new LedgerMemory();
  private readonly ledgers = new Map<number, ScheduleLedger>();
  /** As last seen: the first object may go back to a version without them, or not be readable for a while. */
  private readonly marks = new Map<string, RecordMark>();
  /** When each object was last read, counted by the calls of {@link load}. */
  private readonly readIn = new Map<number, number>();
  private loads = 0;
  private sweeping: Parameters<JobLedger['sweepBy']> | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly options: SpreadOptions,
  ) {
    // All names are known to be good from here on, and a warning names the right object.
    for (let object = 0; object < options.objects; object += 1) this.ledger(object);
  }

  known(job: string): JobRecord | undefined {
    const mark = this.mark(job);
    if (mark !== undefined) {
      const moved = this.isFresh(mark.movedTo) ? this.ledger(mark.movedTo).known(job) : undefined;
      return moved === undefined || isCutDown(moved) ? undefined : moved;
    }
    // Unknown: the change that follows moves it.
    return this.isToMove(job) ? undefined : this.first.known(job);
  }

  /** The object that has the record of a job, as far as this process knows. */
  placeOf(job: string): number {
    return this.mark(job)?.movedTo ?? 0;
  }

  async submit<R>(change: LedgerChange<R>, options: SubmitOptions): Promise<Submitted<R>> {
    const submitted = await this.submitWhereItIs(change, options);
    // It may have been written to the first object before the record moved.
    if (submitted.kind === 'unresolved') this.memory.gaveUp(change);
    return submitted;
  }

  async load(signal: AbortSignal): Promise<boolean> {
    this.loads += 1;
    const { loads } = this;
    if (!(await this.first.load(signal))) return false;
    this.readIn.set(0, loads);
    const others = [...this.ledgers.keys()].filter((object) => object > 0);
    const reads = Promise.all(others.map((object) => this.read(object, signal)));
    // After that a job whose object cannot be read waits for it, and the others do not.
    if (others.length > 0) {
      await within(this.clock, this.options.requestTimeoutMs, reads, () => []);
    }
    return !signal.aborted;
  }

  async refresh(signal: AbortSignal, job?: string): Promise<boolean> {
    const marked = job === undefined ? undefined : this.mark(job);
    if (marked === undefined && !(await this.read(0, signal))) return false;
    if (job !== undefined) {
      const mark = this.mark(job);
      return mark === undefined || this.read(mark.movedTo, signal);
    }
    const others = [...this.ledgers.keys()].filter((object) => object > 0);
    const areRead = await Promise.all(others.map((object) => this.read(object, signal)));
    return areRead.every((isRead) => isRead);
  }

  sweepBy(sweep: Sweep, onForgotten: (job: string) => void): void {
    this.sweeping = [sweep, onForgotten];
    for (const [object, ledger] of this.ledgers) this.sweepOne(object, ledger);
  }

  async inspect(job: string, signal: AbortSignal): Promise<JobRecord | undefined> {
    const first = readJobRecord(await this.first.inspectAll(signal), job);
    if (!isMark(first)) return first;
    const there = await this.ledger(first.movedTo).inspectAll(signal);
    const record = readJobRecord(there, job) ?? first;
    return isCutDown(record) ? undefined : record;
  }

  /** As {@link inspect}, of all jobs; undefined: of a record that cannot be read. */
  async inspectJobs(signal: AbortSignal): Promise<ReadonlyMap<string, JobRecord | undefined>> {
    const first = await this.first.inspectAll(signal);
    const documents = new Map<number, JsonDocument>([[0, first]]);
    const jobs = new Map<string, JobRecord | undefined>();
    for (const job of jobNames(first)) {
      let record = readJobRecord(first, job);
      if (isMark(record)) {
        const { movedTo } = record;
        const there = documents.get(movedTo) ?? (await this.ledger(movedTo).inspectAll(signal));
        documents.set(movedTo, there);
        record = readJobRecord(there, job) ?? record;
      }
      if (record === undefined || !isCutDown(record)) jobs.set(job, record);
    }
    return jobs;
  }

  private get first(): ScheduleLedger {
    return this.ledger(0);
  }

  private ledger(object: number): ScheduleLedger {
    const known = this.ledgers.get(object);
    if (known !== undefined) return known;
    const { clock, options, memory } = this;
    const ledger = new ScheduleLedger(options.open(object), clock, options, memory);
    this.ledgers.set(object, ledger);
    this.sweepOne(object, ledger);
    return ledger;
  }

  private sweepOne(object: number, ledger: ScheduleLedger): void {
    if (this.sweeping === undefined) return;
    const [sweep, onForgotten] = this.sweeping;
    ledger.sweepBy((document) => sweep(document, object > 0), onForgotten);
  }

  private mark(job: string): RecordMark | undefined {
    if (!this.first.isRead) return this.marks.get(job);
    const first = this.first.known(job);
    if (!isMark(first)) return undefined;
    this.marks.set(job, first);
    return first;
  }

  /** The first object is known to have no mark of this job. */
  private isToMove(job: string): boolean {
    if (!this.isFresh(0)) return false;
    const target = this.targetOf(job);
    return target > 0 && this.isFresh(target);
  }

  private targetOf(job: string): number {
    return this.marks.get(job)?.movedTo ?? objectOf(job, this.options.objects);
  }

  private async submitWhereItIs<R>(
    change: LedgerChange<R>,
    options: SubmitOptions,
  ): Promise<Submitted<R>> {
    const { job } = change;
    let mark = this.mark(job);
    if (mark === undefined && this.isToMove(job)) {
      const moved = await this.first.submit(new RecordMove(job, this.targetOf(job)), options);
      if (moved.kind === 'unresolved') return moved;
      mark = moved.result;
    }
    if (mark === undefined) {
      const answer = await this.first.submitOrFollow(change, options);
      if (answer.kind !== 'moved') return answer;
      mark = answer.mark;
    }
    return this.submitElsewhere(change, mark, options);
  }

  private async submitElsewhere<R>(
    change: LedgerChange<R>,
    mark: RecordMark,
    options: SubmitOptions,
  ): Promise<Submitted<R>> {
    const { job } = change;
    const { movedTo } = mark;
    this.marks.set(job, mark);
    // What its new object has must account for at least as much.
    this.memory.saw(job, mark);
    if (!this.isFresh(movedTo) && !(await this.readInTime(movedTo, options))) {
      return { kind: 'unresolved' };
    }
    const ledger = this.ledger(movedTo);
    if (!isCutDown(mark)) {
      const copied = await ledger.submit(new RecordCopy(job, mark), options);
      if (copied.kind === 'unresolved') return copied;
      this.marks.set(job, { ...mark, schedule: '' });
      void this.first.submit(new MarkTrim(job), options);
    }
    return ledger.submit(change, options);
  }

  private isFresh(object: number): boolean {
    return this.readIn.get(object) === this.loads;
  }

  private async read(object: number, signal: AbortSignal): Promise<boolean> {
    const { loads } = this;
    const isRead = await this.ledger(object).load(signal);
    if (isRead) this.readIn.set(object, loads);
    return isRead;
  }

  private readInTime(object: number, { deadline, signal }: SubmitOptions): Promise<boolean> {
    const { clock } = this;
    const read = (limit: AbortSignal): Promise<boolean> => this.read(object, limit);
    return withTimeLimit(clock, deadline - clock.now(), read, signal);
  }
}
