import { LONGEST_TIMER_MS } from './clock.js';
import { LeaderElectionOptionsError, type OptionFault } from './errors.js';

/**
 * Reads raw options one field at a time, with defaults for what is absent, and collects every fault instead of
 * stopping at the first. A field given as `undefined` counts as absent.
 */
export class OptionReader {
  private readonly found: OptionFault[] = [];
  private readonly options: Readonly<Record<string, unknown>>;

  constructor(raw: unknown, known: readonly string[]) {
    const isOptions = typeof raw === 'object' && raw !== null && !Array.isArray(raw);
    if (!isOptions) {
      this.fault('options', raw, 'must be an object', 'pass { role, leaseName }');
    }
    this.options = isOptions ? (raw as Record<string, unknown>) : {};
    for (const field of Object.keys(this.options)) {
      if (!known.includes(field)) {
        this.fault(
          field,
          this.options[field],
          'is not an option',
          `remove it or use one of ${known.join(', ')}`,
        );
      }
    }
  }

  get(field: string): unknown {
    return this.options[field];
  }

  fault(field: string, value: unknown, rule: string, fix: string): void {
    this.found.push({ field, value, rule, fix });
  }

  /** Of a field that was not given, and whose default cannot be used. */
  faultOfDefault(field: string, value: unknown, rule: string, fix: string): void {
    this.found.push({ field, value, isDefault: true, rule, fix });
  }

  get faultCount(): number {
    return this.found.length;
  }

  /**
   * Throws all faults found so far, if any.
   * @param receiver what the options were given to; absent: the module
   */
  check(receiver?: string): void {
    if (this.found.length > 0) throw new LeaderElectionOptionsError(this.found, receiver);
  }

  boolean(field: string, otherwise: boolean): boolean {
    const value = this.options[field];
    if (value === undefined) return otherwise;
    if (typeof value !== 'boolean')
      this.fault(field, value, 'must be a boolean', `use ${otherwise}`);
    return value === true;
  }

  milliseconds(field: string, otherwise: number, least: number): number {
    const value = this.options[field];
    if (value === undefined) return otherwise;
    if (typeof value !== 'number' || !Number.isInteger(value)) {
      this.fault(field, value, 'must be a whole number of milliseconds', `use ${otherwise}`);
      return otherwise;
    }
    if (value < least || value > LONGEST_TIMER_MS) {
      this.fault(
        field,
        value,
        `must be between ${least} and ${LONGEST_TIMER_MS} milliseconds`,
        `use ${otherwise}`,
      );
      return otherwise;
    }
    return value;
  }

  /** One of a few values. */
  oneOf<T extends string | boolean>(field: string, known: readonly T[], otherwise: T): T {
    const value = this.options[field];
    if (value === undefined) return otherwise;
    const found = known.find((each) => each === value);
    if (found !== undefined) return found;
    const rule = `must be one of ${known.map((each) => JSON.stringify(each)).join(', ')}`;
    this.fault(field, value, rule, `use ${JSON.stringify(otherwise)}`);
    return otherwise;
  }

  /** A string that says something, prints on one line and is stored as it is. */
  text(field: string, example: string, longest?: number): string | undefined {
    const value = this.options[field];
    if (value === undefined) return undefined;
    const fault = textFault(value, example, longest);
    if (fault === undefined) return value as string;
    this.fault(field, value, fault.rule, fault.fix);
    return undefined;
  }

  required(field: string, value: string | undefined, example: string): string {
    if (value === undefined && this.options[field] === undefined) {
      this.fault(field, undefined, 'is required', `use for example ${JSON.stringify(example)}`);
    }
    return value ?? '';
  }
}

/** @throws LeaderElectionOptionsError if it is neither undefined nor a finite number, zero or more */
export function checkedDurationMs(field: string, value: unknown, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) return value;
  const rule = 'must be a number of milliseconds, zero or more';
  throw new LeaderElectionOptionsError([{ field, value, rule, fix: `use ${otherwise}` }]);
}

/** @throws LeaderElectionOptionsError if it is none */
export function checkBoolean(field: string, value: unknown): void {
  if (typeof value === 'boolean') return;
  const fault = { field, value, rule: 'must be a boolean', fix: 'use true or false' };
  throw new LeaderElectionOptionsError([fault]);
}

/** Why a value is not text for an option, whoever gave it; undefined if it is. */
export function textFault(
  value: unknown,
  example: string,
  longest = Infinity,
): Pick<OptionFault, 'rule' | 'fix'> | undefined {
  if (typeof value !== 'string' || value.trim() === '' || value !== value.trim()) {
    const rule = 'must be a non-empty string without spaces around it';
    return { rule, fix: `use for example ${JSON.stringify(example)}` };
  }
  if (UNPRINTABLE.test(value)) {
    return { rule: 'must not contain control characters or line breaks', fix: 'remove them' };
  }
  // Half a surrogate pair is sent as another character, and the record is then not what was sent.
  if (LONE_SURROGATE.test(value)) {
    return { rule: 'must be well-formed Unicode', fix: 'remove the lone surrogates' };
  }
  if (value.length > longest) {
    return { rule: `must have at most ${longest} characters`, fix: 'shorten it' };
  }
  return undefined;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** What a user gave to the factory of a lock: its fields, unless it is not an object, and what is wrong with it as a whole. */
export interface GivenLockOptions {
  readonly given: Readonly<Record<string, unknown>> | undefined;
  readonly faults: OptionFault[];
}

/**
 * A misspelt option would mean the default, which may be another lease than the one meant.
 *
 * @param factory its name, as users write it
 * @param example calls of it that are right
 */
export function givenLockOptions(
  factory: string,
  options: unknown,
  known: readonly string[],
  example: string,
): GivenLockOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    const rule = 'options must be an object';
    return { given: undefined, faults: [{ field: factory, value: options, rule, fix: example }] };
  }
  const given = options as Record<string, unknown>;
  const faults = Object.keys(given)
    .filter((field) => !known.includes(field))
    .map((field) => ({
      field: `${factory}.${field}`,
      value: given[field],
      rule: 'there is no such option',
      fix: `use one of: ${known.join(', ')}`,
    }));
  return { given, faults };
}
