import assert from 'node:assert/strict';
import { OptionReader } from '../core/option-reader.js';

/** One rule of a contract, which any test runner can run: `it(name, run)`. */
export interface ContractCase {
  /** When the rule applies and what it says, as a title of a test; no two cases of a suite have the same. */
  readonly name: string;
  /** When the rule applies, for a `describe()`; empty for those that always do. */
  readonly group: string;
  /** What the rule says, for an `it()` in that `describe()`. */
  readonly title: string;
  /** Makes a fixture, tries the rule on it, and ends the fixture. Rejects if the rule is broken. Needs no `this`. */
  readonly run: () => Promise<void>;
}

/** What the fixture of a suite may lack, as its store cannot do it. */
export type FixtureCapability =
  /**
   * `loseAnswer()`. Without it no case shows that the lock calls a write `unknown` that the store may have applied. A
   * lock that calls such a write `not-applied` can end with two leaders. A store in the memory of the process has no
   * such writes.
   */
  | 'lost-answers'
  /**
   * `interrupt()`. Without it no case shows what the lock answers while its store cannot be reached, nor that it works
   * again without a restart of the process. A store in the memory of the process is always there.
   */
  | 'outages';

/**
 * What a lock, or its fixture, may lack. The suites leave out the rules that need it, and otherwise ask for it: a lock that
 * should have it and does not fails a case that says so, and so does one that has more than the suite was given to expect.
 */
export type LockCapability =
  /**
   * `watch()`. Without it standbys poll: a handover takes up to one retry period instead of milliseconds, and each
   * standby reads the store once in a retry period.
   */
  | 'watch'
  /** `sibling()`. Without it an application on this lock cannot have `@LeaderCron` jobs or `@LeaderOnce` work. */
  | 'sibling'
  /**
   * `leaseBeside()`. Without it `@LeaderOnce` work needs a factory of the lock that makes one for any `leaseName`; a lock
   * that was passed as an object cannot have such work.
   */
  | 'leaseBeside'
  /**
   * `competitors()`. Without it there is no option `members` outside of Kubernetes: no placement, and no replica can be
   * named to follow.
   */
  | 'competitors'
  | FixtureCapability;

/** What a store of documents, or its fixture, may lack. */
export type DocumentStoreCapability =
  /**
   * `spoilByHand()`. Without it no case shows that the store refuses to read what is not a document. A store that takes it
   * for an empty one runs ticks a second time. A store that can hold nothing but documents need not show it.
   */
  'spoiling' | FixtureCapability;

/** What differs from one lock to the next. */
export interface ContractOptions<Capability extends string = LockCapability> {
  /**
   * What the lock, its store or its fixture lacks on purpose.
   * @default nothing
   * @example
   * without: ['sibling']
   */
  readonly without?: readonly Capability[];
  /**
   * How long a case waits, in milliseconds of real time, for a watch or a source of members to report what it should.
   * @default 4_000, which is below the five seconds that Jest and Vitest give a test
   * @example
   * patienceMs: 20_000
   */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 4_000;

/** Something that a rule is tried on, and that has to be ended. */
export interface Subject {
  end(): Promise<void>;
}

/** Rules by when they apply, and by what they say. */
export type Rules<S> = Readonly<Record<string, Readonly<Record<string, (on: S) => Promise<void>>>>>;

/** A contract before it is known what is tried. */
export interface Contract<S extends Subject, Capability extends string> {
  /** All that may be lacking. */
  readonly capabilities: readonly Capability[];
  readonly rules: Rules<S>;
  /** Which groups of rules apply to a lock alone that has the capability. */
  readonly needs: Readonly<Record<string, Capability>>;
}

/**
 * The cases of the rules that apply to a lock without these capabilities.
 * @throws LeaderElectionOptionsError for options that the suite does not know
 */
export function casesOf<S extends Subject, Capability extends string>(
  { capabilities, rules, needs }: Contract<S, Capability>,
  begin: (patienceMs: number, lacks: ReadonlySet<Capability>) => Promise<S>,
  options: ContractOptions<Capability>,
): readonly ContractCase[] {
  const { without, patienceMs } = checkedOptions(options, capabilities);
  const lacks = new Set(without);
  return Object.entries(rules).flatMap(([group, all]) => {
    const needed = needs[group];
    if (needed !== undefined && lacks.has(needed)) return [];
    return Object.entries(all).map(([title, holds]) => ({
      name: group === '' ? title : `${group}, ${title}`,
      group,
      title,
      run: async () => tried(await begin(patienceMs, lacks), holds),
    }));
  });
}

/** A misspelt capability would leave out nothing, and a misspelt option would be the default. */
function checkedOptions<Capability extends string>(
  options: ContractOptions<Capability>,
  known: readonly Capability[],
): Required<ContractOptions<Capability>> {
  const reader = new OptionReader(options, ['without', 'patienceMs']);
  const fix = `use an array of some of: ${known.join(', ')}`;
  const without = reader.get('without') ?? [];
  if (!Array.isArray(without)) reader.fault('without', without, 'must be an array', fix);
  else {
    for (const each of without as unknown[]) {
      if (known.includes(each as Capability)) continue;
      reader.fault('without', each, 'is not an option of what this suite can leave out', fix);
    }
  }
  const patienceMs = reader.milliseconds('patienceMs', PATIENCE_MS, 1);
  reader.check('The contract suite');
  return { without: without as Capability[], patienceMs };
}

async function tried<S extends Subject>(on: S, holds: (on: S) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (const step of [() => holds(on), () => on.end()]) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 1) {
    throw new AggregateError(failures, `${String(failures[0])}; and the fixture did not end`);
  }
  if (failures.length === 1) throw failures[0];
}

/**
 * The same value of plain objects and arrays alone, their names in order and none of them undefined: stores differ in how
 * they leave out a field, and runners that run tests in a realm of their own in what an object is.
 */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([key, each]) => [key, plain(each)]));
}

/** Compares what is stored, whatever made the objects. */
export function assertSame(actual: unknown, expected: unknown, message?: string): void {
  assert.deepStrictEqual(plain(actual), plain(expected), message);
}
