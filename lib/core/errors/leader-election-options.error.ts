import { LeaderElectionError } from './leader-election.error.js';

/** One thing wrong with one option. */
export interface OptionFault {
  /** The option, spelled as the caller wrote it. */
  readonly field: string;
  /** What was given; undefined where nothing was. */
  readonly value: unknown;
  /** The value is that of the default. */
  readonly isDefault?: boolean;
  /** What must hold. */
  readonly rule: string;
  /** What to write instead. */
  readonly fix: string;
}

/**
 * The options of one role cannot be used. Carries every fault at once, so that one start shows them all.
 * Code `ERR_LEADER_ELECTION_OPTIONS`.
 */
export class LeaderElectionOptionsError extends LeaderElectionError {
  readonly code = 'ERR_LEADER_ELECTION_OPTIONS';

  constructor(readonly faults: readonly OptionFault[]) {
    super(
      `LeaderElectionModule: ${faults.length} configuration ${faults.length === 1 ? 'error' : 'errors'}\n` +
        faults.map((fault) => `  - ${given(fault)}: ${fault.rule}. Fix: ${fault.fix}.`).join('\n'),
    );
  }

  /** With each value as the message prints it: what was given may be anything. */
  override toJSON(): object {
    const faults = this.faults.map((fault) => ({ ...fault, value: printed(fault.value) }));
    return { ...super.toJSON(), faults };
  }
}

function given({ field, value, isDefault = false }: OptionFault): string {
  if (value === undefined) return field;
  return `${field} = ${printed(value)}${isDefault ? ' (the default)' : ''}`;
}

function printed(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'bigint':
      return `${value}n`;
    case 'function':
      return `a function${value.name ? ` (${value.name})` : ''}`;
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object';
    default:
      return String(value);
  }
}
