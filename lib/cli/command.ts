import type { Output } from './output.js';

/** One option of a command, as parseArgs takes it, and as the help shows it. */
interface CommandOption {
  readonly type: 'string' | 'boolean';
  /** What stands for the value in the help, e.g. `NAME`. */
  readonly value?: string;
  readonly help: string;
}

export type CommandOptions = Readonly<Record<string, CommandOption>>;

/** What was given on the command line. */
export interface CommandCall {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
  /** What stands behind `--`; undefined without one. */
  readonly program: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly output: Output;
}

export interface Command {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** What follows the name, e.g. `JOB [options]`. */
  readonly usage: string;
  /** For the help, below the usage. */
  readonly details?: string;
  readonly options: CommandOptions;
  /** Resolves with the exit code. */
  run(call: CommandCall): Promise<number>;
}

/** Exit codes of every command; `run` has more of them. */
export const EXIT = {
  done: 0,
  /** It could not do what it was asked for, and has said why. */
  refused: 1,
  /** It was called wrongly. */
  usage: 2,
  /** It is not known whether it was done, or no answer came in time: trying again may help. */
  temporary: 75,
} as const;

/** The command line says what makes no sense: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What was asked for cannot be done, for the reason that this says. */
export class CommandError extends Error {
  override readonly name = 'CommandError';

  constructor(
    message: string,
    readonly exitCode: number = EXIT.refused,
  ) {
    super(message);
  }
}

export function textOf({ values }: CommandCall, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

export function isSet({ values }: CommandCall, name: string): boolean {
  return values[name] === true;
}

/** A whole number of milliseconds; undefined if it was not given. */
export function millisecondsOf(call: CommandCall, name: string): number | undefined {
  const text = textOf(call, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d{1,10}$/.test(text) && value <= 2_147_483_647) return value;
  throw new UsageError(`--${name} ${text}: must be a whole number of milliseconds`);
}

/** The only positional argument. */
export function onlyArgument({ positionals }: CommandCall, what: string): string {
  const [first, ...others] = positionals;
  if (first === undefined) throw new UsageError(`name ${what}`);
  if (others.length > 0)
    throw new UsageError(`${others.join(' ')}: there is one argument, ${what}`);
  return first;
}
