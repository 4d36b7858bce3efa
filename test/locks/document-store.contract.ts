import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type JsonDocument, MAX_DOCUMENT_BYTES } from '../../lib/core/json-document.js';
import type {
  ResourceLock,
  Store,
  StoredDocument,
  WriteOutcome,
} from '../../lib/core/resource-lock.js';
import { request } from './lock-request.js';

/** What a lock gives to the contract of the stores it makes. No object exists at the start. */
export interface DocumentStoreFixture {
  /** Two candidates of one election that share nothing but the store. */
  readonly first: ResourceLock;
  readonly second: ResourceLock;
  /** As an operator would: removes the object of the sibling `schedule`. */
  deleteByHand(): Promise<void>;
  /** As an operator would: puts something that is no document in its place. */
  spoilByHand?(): Promise<void>;
  /** Called after the locks were closed. */
  dispose(): Promise<void>;
}

const SUFFIX = 'schedule';

/** What every {@link ResourceLock.sibling} must do, stated once for all of them. */
export function describeDocumentStore(
  name: string,
  createFixture: () => Promise<DocumentStoreFixture>,
): void {
  describe(`${name} (contract of every store of documents)`, () => {
    let fixture: DocumentStoreFixture;
    let first: Store<JsonDocument, StoredDocument>;
    let second: Store<JsonDocument, StoredDocument>;

    beforeEach(async () => {
      fixture = await createFixture();
      first = fixture.first.sibling!(SUFFIX);
      second = fixture.second.sibling!(SUFFIX);
    });

    afterEach(async () => {
      await fixture.first.close?.();
      await fixture.second.close?.();
      await fixture.dispose();
    });

    const created = async (document: JsonDocument) =>
      applied(await first.create(document, request()));
    const read = async (store: Store<JsonDocument, StoredDocument>): Promise<StoredDocument> => {
      const outcome = await store.read(request());
      if (outcome.kind !== 'found') throw new Error(`read: ${outcome.kind}`);
      return outcome.stored;
    };

    describe('when there is no document', () => {
      it('reads absent', async () => {
        expect(await first.read(request())).toEqual({ kind: 'absent' });
      });

      it('creates it, and everybody reads what was created', async () => {
        const document = { jobs: { a: { at: '2026-01-02T03:04:05.000Z', deep: [1, null, 'ü'] } } };
        expect((await created(document)).document).toEqual(document);
        expect((await read(first)).document).toEqual(document);
        expect((await read(second)).document).toEqual(document);
      });

      it('refuses to replace one that was deleted', async () => {
        const stored = await created({ n: 1 });
        await fixture.deleteByHand();
        const outcome = await first.replace({ n: 2 }, stored, request());
        expect(['absent', 'conflict']).toContain(outcome.kind);
        expect(await second.read(request())).toEqual({ kind: 'absent' });
      });
    });

    describe('when there is a document', () => {
      it('refuses to create it again', async () => {
        await created({ n: 1 });
        expect(await second.create({ n: 2 }, request())).toEqual({ kind: 'conflict' });
        expect((await read(second)).document).toEqual({ n: 1 });
      });

      it('replaces the version that was read, of whoever wrote it', async () => {
        await created({ n: 1 });
        const outcome = await second.replace({ n: 2 }, await read(second), request());
        expect(applied(outcome).document).toEqual({ n: 2 });
        expect((await read(first)).document).toEqual({ n: 2 });
      });

      it('replaces the version that its own write returned, without a read', async () => {
        let stored = await created({ n: 0 });
        for (let n = 1; n <= 10; n += 1) {
          stored = applied(await first.replace({ n }, stored, request()));
        }
        expect((await read(second)).document).toEqual({ n: 10 });
      });

      it('refuses a version that is not the newest', async () => {
        const old = await created({ n: 1 });
        await second.replace({ n: 2 }, await read(second), request());
        expect(await first.replace({ n: 3 }, old, request())).toEqual({ kind: 'conflict' });
        expect((await read(first)).document).toEqual({ n: 2 });
      });

      it('refuses the version of a document that was deleted and made again', async () => {
        const old = await created({ n: 1 });
        await fixture.deleteByHand();
        applied(await second.create({ n: 1 }, request()));
        expect(await first.replace({ n: 3 }, old, request())).toEqual({ kind: 'conflict' });
        expect((await read(first)).document).toEqual({ n: 1 });
      });

      it('applies exactly one of many writes that expect the same version', async () => {
        const stored = await created({ n: 0 });
        const outcomes = await Promise.all(
          Array.from({ length: 8 }, (_, index) =>
            (index % 2 === 0 ? first : second).replace({ n: index + 1 }, stored, request()),
          ),
        );
        expect(outcomes.filter(({ kind }) => kind === 'applied')).toHaveLength(1);
        expect(outcomes.filter(({ kind }) => kind === 'conflict')).toHaveLength(7);
      });

      it('tells documents of different suffixes apart', async () => {
        await created({ n: 1 });
        expect(await fixture.first.sibling!('other').read(request())).toEqual({ kind: 'absent' });
      });

      it('leaves the lease beside it alone', async () => {
        await created({ n: 1 });
        expect(await fixture.first.read(request())).toEqual({ kind: 'absent' });
      });
    });

    describe('when the document is too large', () => {
      it('does not write it, and says what fits', async () => {
        const stored = await created({ n: 1 });
        const huge = { text: 'x'.repeat(MAX_DOCUMENT_BYTES) };
        for (const outcome of [
          await first.create(huge, request()),
          await first.replace(huge, stored, request()),
        ]) {
          if (outcome.kind !== 'not-applied') throw new Error(outcome.kind);
          expect(outcome.error).toMatchObject({ code: 'ERR_LOCK_REQUEST', reason: 'rejected' });
          expect(outcome.error.message).toContain(String(MAX_DOCUMENT_BYTES));
        }
      });

      it('stores the largest that fits', async () => {
        const largest = { text: 'x'.repeat(MAX_DOCUMENT_BYTES - '{"text":""}'.length) };
        await created({});
        applied(await first.replace(largest, await read(first), request()));
        expect((await read(second)).document).toEqual(largest);
      });
    });

    describe('when somebody has spoilt it', () => {
      it('fails to read it instead of taking it for empty', async () => {
        if (fixture.spoilByHand === undefined) return;
        await created({ n: 1 });
        await fixture.spoilByHand();
        const outcome = await second.read(request());
        expect(outcome).toMatchObject({ kind: 'failed', error: { code: 'ERR_LOCK_REQUEST' } });
      });
    });

    describe('when a request is aborted', () => {
      it('ends as failed or unknown, without waiting', async () => {
        const stored = await created({ n: 1 });
        const aborted = { timeoutMs: 60_000, signal: AbortSignal.abort() };
        expect((await first.read(aborted)).kind).toBe('failed');
        expect((await first.create({ n: 2 }, aborted)).kind).toBe('unknown');
        expect((await first.replace({ n: 2 }, stored, aborted)).kind).toBe('unknown');
      });
    });
  });
}

function applied(outcome: WriteOutcome<StoredDocument>): StoredDocument {
  if (outcome.kind === 'applied') return outcome.stored;
  throw new Error(`not applied but ${outcome.kind}`, {
    cause: 'error' in outcome ? outcome.error : undefined,
  });
}
