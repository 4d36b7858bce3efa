import assert from 'node:assert/strict';
import { type JsonDocument, MAX_DOCUMENT_BYTES } from '../core/json-document.js';
import type { ResourceLock, Store, StoredDocument } from '../core/resource-lock.js';
import {
  assertSame,
  casesOf,
  type ContractCase,
  type ContractOptions,
  type DocumentStoreCapability,
  type Rules,
} from './contract-case.js';
import {
  abortedRequest,
  applied,
  capabilityRules,
  endFixture,
  exactlyOneOf,
  kinds,
  OUTAGE_MS,
  request,
  type StoreFixture,
} from './lock-fixture.js';

/** Two locks whose `sibling('schedule')` is to be tried. Each case asks for new ones, with no document in the store yet. */
export interface DocumentStoreFixture extends StoreFixture {
  /**
   * As an operator would: puts something that is not a document in its place.
   * @default the capability `spoiling` is lacking
   */
  spoilByHand?(): Promise<void>;
}

type DocumentStore = Store<JsonDocument, StoredDocument>;

const SUFFIX = 'schedule';

/**
 * What every store of documents that a lock makes by `sibling()` must do, as cases for any test runner. `@LeaderCron` jobs
 * rest on it: that no tick is claimed twice is one compare-and-set on this store.
 */
export function documentStoreContract(
  createFixture: () => DocumentStoreFixture | Promise<DocumentStoreFixture>,
  options: ContractOptions<DocumentStoreCapability> = {},
): readonly ContractCase[] {
  return casesOf(
    { capabilities: CAPABILITIES, rules: RULES, needs: NEEDS },
    async (_, lacks) => new StoreUnderTest(await createFixture(), lacks),
    options,
  );
}

/** Two stores of one document that does not exist. */
class StoreUnderTest {
  private stores: readonly [DocumentStore, DocumentStore] | undefined;

  constructor(
    readonly fixture: DocumentStoreFixture,
    readonly lacks: ReadonlySet<DocumentStoreCapability>,
  ) {}

  get first(): DocumentStore {
    return this.both[0];
  }

  get second(): DocumentStore {
    return this.both[1];
  }

  async locks(): Promise<readonly ResourceLock[]> {
    return [this.fixture.first, this.fixture.second];
  }

  end(): Promise<void> {
    return endFixture(this.fixture);
  }

  async created(document: JsonDocument): Promise<StoredDocument> {
    return applied(await this.first.create(document, request()));
  }

  async read(store: DocumentStore): Promise<StoredDocument> {
    const outcome = await store.read(request());
    if (outcome.kind !== 'found') throw new Error(`read: ${outcome.kind}`);
    return outcome.stored;
  }

  /** Made when they are first asked for: a lock that cannot make them is then still closed. */
  private get both(): readonly [DocumentStore, DocumentStore] {
    const { first, second } = this.fixture;
    this.stores ??= [siblingOf(first, SUFFIX), siblingOf(second, SUFFIX)];
    return this.stores;
  }
}

function siblingOf(lock: ResourceLock, suffix: string): DocumentStore {
  const made = lock.sibling?.(suffix);
  if (made === undefined) throw new Error(`${lock.describe()} has no sibling`);
  return made;
}

const CAPABILITIES: readonly DocumentStoreCapability[] = ['lost-answers', 'outages', 'spoiling'];

const NEEDS: Readonly<Record<string, DocumentStoreCapability>> = {
  'when it was spoilt by hand': 'spoiling',
  'when the answer to a write is lost': 'lost-answers',
  'when the store cannot be reached': 'outages',
};

const RULES: Rules<StoreUnderTest> = {
  'when its capabilities are asked for': capabilityRules(CAPABILITIES),

  'when there is no document': {
    'reads absent': async ({ first }) => {
      assertSame(await first.read(request()), { kind: 'absent' });
    },

    'creates it, and both candidates read what was created': async (on) => {
      const document = { jobs: { a: { at: '2026-01-02T03:04:05.000Z', deep: [1, null, 'ü'] } } };
      assertSame((await on.created(document)).document, document);
      assertSame((await on.read(on.first)).document, document);
      assertSame((await on.read(on.second)).document, document);
    },

    'refuses to replace one that was deleted': async (on) => {
      const stored = await on.created({ n: 1 });
      await on.fixture.deleteByHand();
      const { kind } = await on.first.replace({ n: 2 }, stored, request());
      assert.ok(['absent', 'conflict'].includes(kind), `the replacement: ${kind}`);
      assertSame(await on.second.read(request()), { kind: 'absent' });
    },
  },

  'when there is a document': {
    'refuses to create it again': async (on) => {
      await on.created({ n: 1 });
      assertSame(await on.second.create({ n: 2 }, request()), { kind: 'conflict' });
      assertSame((await on.read(on.second)).document, { n: 1 });
    },

    'replaces the version that was read, of whoever wrote it': async (on) => {
      await on.created({ n: 1 });
      const outcome = await on.second.replace({ n: 2 }, await on.read(on.second), request());
      assertSame(applied(outcome).document, { n: 2 });
      assertSame((await on.read(on.first)).document, { n: 2 });
    },

    'replaces the version that its own write returned, without a read': async (on) => {
      let stored = await on.created({ n: 0 });
      for (let n = 1; n <= 10; n += 1) {
        stored = applied(await on.first.replace({ n }, stored, request()));
      }
      assertSame((await on.read(on.second)).document, { n: 10 });
    },

    'refuses a version that is not the newest': async (on) => {
      const old = await on.created({ n: 1 });
      await on.second.replace({ n: 2 }, await on.read(on.second), request());
      assertSame(await on.first.replace({ n: 3 }, old, request()), { kind: 'conflict' });
      assertSame((await on.read(on.first)).document, { n: 2 });
    },

    'refuses the version of a document that was deleted and made again': async (on) => {
      const old = await on.created({ n: 1 });
      await on.fixture.deleteByHand();
      applied(await on.second.create({ n: 1 }, request()));
      assertSame(await on.first.replace({ n: 3 }, old, request()), { kind: 'conflict' });
      assertSame((await on.read(on.first)).document, { n: 1 });
    },

    'applies exactly one of many writes that expect the same version': async (on) => {
      const stored = await on.created({ n: 0 });
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          (index % 2 === 0 ? on.first : on.second).replace({ n: index + 1 }, stored, request()),
        ),
      );
      assertSame(kinds(outcomes), exactlyOneOf(8));
    },

    'tells documents of different suffixes apart': async (on) => {
      await on.created({ n: 1 });
      const other = siblingOf(on.fixture.first, 'other');
      assertSame(await other.read(request()), { kind: 'absent' });
    },

    'leaves the lease beside it alone': async (on) => {
      await on.created({ n: 1 });
      assertSame(await on.fixture.first.read(request()), { kind: 'absent' });
    },
  },

  'when the document is too large': {
    'does not write it, and says what fits': async (on) => {
      const stored = await on.created({ n: 1 });
      const huge = { text: 'x'.repeat(MAX_DOCUMENT_BYTES) };
      for (const outcome of [
        await on.first.create(huge, request()),
        await on.first.replace(huge, stored, request()),
      ]) {
        if (outcome.kind !== 'not-applied') throw new Error(outcome.kind);
        const { code, reason, message } = outcome.error;
        assertSame({ code, reason }, { code: 'ERR_LOCK_REQUEST', reason: 'rejected' });
        assert.ok(message.includes(String(MAX_DOCUMENT_BYTES)), message);
      }
    },

    'stores the largest that fits': async (on) => {
      const largest = { text: 'x'.repeat(MAX_DOCUMENT_BYTES - '{"text":""}'.length) };
      await on.created({});
      applied(await on.first.replace(largest, await on.read(on.first), request()));
      assertSame((await on.read(on.second)).document, largest);
    },
  },

  'when it was spoilt by hand': {
    'fails to read it instead of taking it for empty': async (on) => {
      await on.created({ n: 1 });
      await on.fixture.spoilByHand!();
      const outcome = await on.second.read(request());
      if (outcome.kind !== 'failed') throw new Error(outcome.kind);
      assert.equal(outcome.error.code, 'ERR_LOCK_REQUEST');
    },
  },

  'when a request is aborted': {
    'ends as failed or unknown, without waiting': async (on) => {
      const stored = await on.created({ n: 1 });
      assert.equal((await on.first.read(abortedRequest())).kind, 'failed');
      assert.equal((await on.first.create({ n: 2 }, abortedRequest())).kind, 'unknown');
      assert.equal((await on.first.replace({ n: 2 }, stored, abortedRequest())).kind, 'unknown');
    },
  },
  'when the answer to a write is lost': {
    'answers unknown, and the next read shows what was written': async (on) => {
      const stored = await on.created({ n: 1 });
      await on.fixture.loseAnswer!();
      assert.equal((await on.first.replace({ n: 2 }, stored, request())).kind, 'unknown');
      assertSame((await on.read(on.second)).document, { n: 2 });
    },
  },

  'when the store cannot be reached': {
    'says what is not known instead of rejecting, and works once it is back': async (on) => {
      const stored = await on.created({ n: 1 });
      const restore = await on.fixture.interrupt!();
      assert.equal((await on.first.read(request(OUTAGE_MS))).kind, 'failed');
      const { kind } = await on.first.replace({ n: 2 }, stored, request(OUTAGE_MS));
      assert.ok(['unknown', 'not-applied'].includes(kind), `the write: ${kind}`);
      await restore();
      const found = await on.read(on.first);
      assertSame(applied(await on.first.replace({ n: 3 }, found, request())).document, { n: 3 });
    },
  },
};
