import assert from 'node:assert/strict';
import type { LeaseRecord, ObservedLease } from '../core/lease-record.js';
import type { LockRequestOptions, ResourceLock, WriteOutcome } from '../core/resource-lock.js';

/** What every suite asks of a fixture. No object exists in the store when it is made. */
export interface StoreFixture {
  /** A lock of the lease, as one candidate has it. */
  readonly first: ResourceLock;
  /** The lock of another candidate for the same lease, as far apart as the store allows: nothing shared but the store. */
  readonly second: ResourceLock;
  /**
   * Removes the object from the store, as an operator would, without the lock: that of the lease, or for
   * `documentStoreContract()` that of `sibling('schedule')`.
   */
  deleteByHand(): Promise<void>;
  /**
   * Makes the store apply the next write of the first lock and lose its answer, so that the lock cannot know what came of
   * it.
   * @default the capability `lost-answers` is lacking
   */
  loseAnswer?(): Promise<void>;
  /**
   * Makes the store unreachable for the first lock, or for both, and resolves with what ends that.
   * @default the capability `outages` is lacking
   */
  interrupt?(): Promise<() => Promise<void>>;
  /** Frees the store. Called once, after both locks have been closed. */
  dispose(): Promise<void>;
}

/** A lock to try, with what an operator can do to its lease. Each case asks for a new one, with a lease that does not exist yet. */
export interface LockFixture extends StoreFixture {
  /** The `identity` that the first lock was made with. */
  readonly firstIdentity: string;
  /** The `identity` that the second lock was made with. */
  readonly secondIdentity: string;
  /** What `describe()` of both has to contain: how operators find the object. */
  readonly name: string;
  /** Changes these fields of the stored record, as an operator would, without the lock. Everything else stays. */
  editByHand(change: Partial<LeaseRecord>): Promise<void>;
}

/** With more time than any store needs on a busy machine. */
export function request(timeoutMs = 30_000): LockRequestOptions {
  return { timeoutMs, signal: new AbortController().signal };
}

/** How long a request to a store that cannot be reached may take, in milliseconds of real time. */
export const OUTAGE_MS = 500;

/** A request that was aborted before it was made, and that must not be waited for. */
export function abortedRequest(): LockRequestOptions {
  return { timeoutMs: 60_000, signal: AbortSignal.abort() };
}

/** What an applied write has stored. */
export function applied<Version>(outcome: WriteOutcome<Version>): Version {
  if (outcome.kind === 'applied') return outcome.stored;
  throw new Error(`not applied but ${outcome.kind}`, {
    cause: 'error' in outcome ? outcome.error : undefined,
  });
}

/** Without `source`, which is the lock's own affair. */
export function facts({ record, uid, revision, timingKey }: ObservedLease): ObservedLease {
  return { record, uid, revision, timingKey };
}

/** The kinds of outcomes that came in any order. */
export function kinds(outcomes: readonly { readonly kind: string }[]): string[] {
  return outcomes.map(({ kind }) => kind).sort();
}

/** One applied and otherwise conflicts. */
export function exactlyOneOf(count: number): string[] {
  return ['applied', ...Array<string>(count - 1).fill('conflict')];
}

export async function endFixture(fixture: StoreFixture): Promise<void> {
  try {
    await fixture.first.close?.();
    await fixture.second.close?.();
  } finally {
    await fixture.dispose();
  }
}

/** What a lock, or a fixture, has where it has the capability. */
const OF_LOCK = {
  watch: 'watch',
  sibling: 'sibling',
  leaseBeside: 'leaseBeside',
  competitors: 'competitors',
} as const;
const OF_FIXTURE = {
  'lost-answers': 'loseAnswer',
  outages: 'interrupt',
  spoiling: 'spoilByHand',
} as const;

type Capability = keyof typeof OF_LOCK | keyof typeof OF_FIXTURE;

/** Something of which is asked what it has. */
interface Equipped<C extends Capability> {
  readonly fixture: object;
  readonly lacks: ReadonlySet<C>;
  /** All that have what a lock may have. */
  locks(): Promise<readonly ResourceLock[]>;
}

/** A suite that leaves cases out must have been given to expect so, and of a lock that has no more than that. */
export function capabilityRules<C extends Capability>(
  capabilities: readonly C[],
): Record<string, (on: Equipped<C>) => Promise<void>> {
  return Object.fromEntries(
    capabilities.map((capability) => [
      `has ${capability} unless the suite was told otherwise`,
      async (on) => {
        const expected = !on.lacks.has(capability);
        if (Object.hasOwn(OF_FIXTURE, capability)) {
          assertCapability(on.fixture, 'the fixture', capability, expected);
        } else {
          for (const lock of await on.locks()) {
            assertCapability(lock, lock.describe(), capability, expected);
          }
        }
      },
    ]),
  );
}

function assertCapability(
  owner: object,
  name: string,
  capability: Capability,
  expected: boolean,
): void {
  const member = { ...OF_LOCK, ...OF_FIXTURE }[capability];
  const has = typeof (owner as Record<string, unknown>)[member] === 'function';
  const fix = has
    ? `${name} has ${member}(): take "${capability}" out of "without", so that it is tried`
    : `${name} has no ${member}(): add it, or put "${capability}" into "without"`;
  assert.equal(has, expected, fix);
}
