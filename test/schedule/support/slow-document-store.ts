import { LockRequestError } from '../../../lib/core/errors.js';
import type { JsonDocument } from '../../../lib/core/json-document.js';
import type {
  LockRequestOptions,
  ReadOutcome,
  StoredDocument,
  WriteOutcome,
} from '../../../lib/core/resource-lock.js';
import type { ManualClock } from '../../support/manual-clock.js';
import { ScriptedDocumentStore } from './scripted-document-store.js';

/** A store that applies a request when it arrives and answers it later, or not, if that is too late for the caller. */
export class SlowDocumentStore extends ScriptedDocumentStore {
  constructor(
    private readonly clock: ManualClock,
    public answersAfterMs: number,
  ) {
    super();
  }

  override read(options: LockRequestOptions): Promise<ReadOutcome<StoredDocument>> {
    return this.answer(super.read(options), options, (error) => ({ kind: 'failed', error }));
  }

  override create(document: JsonDocument, options: LockRequestOptions) {
    return this.answerWrite(super.create(document, options), options);
  }

  override replace(document: JsonDocument, expected: StoredDocument, options: LockRequestOptions) {
    return this.answerWrite(super.replace(document, expected, options), options);
  }

  private answerWrite(
    outcome: Promise<WriteOutcome<StoredDocument>>,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.answer(outcome, options, (error) => ({ kind: 'unknown', error }));
  }

  private async answer<T>(
    outcome: Promise<T>,
    { timeoutMs }: LockRequestOptions,
    late: (error: LockRequestError) => T,
  ): Promise<T> {
    const answered = await outcome;
    const waitMs = Math.min(timeoutMs, this.answersAfterMs);
    await new Promise<void>((resolve) => void this.clock.setTimer(resolve, waitMs));
    if (this.answersAfterMs < timeoutMs) return answered;
    return late(new LockRequestError(`no answer in ${timeoutMs} ms`, { reason: 'unclear' }));
  }
}
