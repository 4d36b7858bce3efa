import type { OptionFault } from '../core/errors/leader-election-options.error.js';

/** What a user gave to the factory of a lock: its fields, unless it is no object, and what is wrong with it as a whole. */
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
