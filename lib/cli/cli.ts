import { parseArgs } from 'node:util';
import { LeaderElectionOptionsError, LockRequestError } from '../core/errors.js';
import { FleetError } from '../fleet/fleet-error.js';
import { type Command, CommandError, type CommandOptions, EXIT, UsageError } from './command.js';
import { COMMANDS } from './commands.js';
import { type Output, outputTo, WIDTH } from './output.js';

const PROGRAM = 'nestjs-leader-election';

const COMMON: CommandOptions = {
  json: { type: 'boolean', help: 'write JSON to stdout' },
  help: { type: 'boolean', help: 'show this text' },
};

/** What a command line program is given by its process. */
export interface CliSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** Runs one command; resolves with the exit code. */
export async function runCli(
  args: readonly string[],
  surroundings: CliSurroundings,
  commands: readonly Command[] = COMMANDS,
): Promise<number> {
  const { stdout, stderr } = surroundings;
  const [name = '--help', ...rest] = args;
  if (name === '--help' || name === 'help') {
    stdout.write(`${overview(commands)}\n`);
    return args.length === 0 ? EXIT.usage : EXIT.done;
  }
  const command = commands.find((each) => each.name === name);
  if (command === undefined) {
    stderr.write(`${PROGRAM}: there is no command ${name}\n\n${overview(commands)}\n`);
    return EXIT.usage;
  }
  return call(command, rest, surroundings);
}

async function call(
  command: Command,
  args: readonly string[],
  { env, stdout, stderr }: CliSurroundings,
): Promise<number> {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const program = end < 0 ? undefined : args.slice(end + 1);
  const output = outputTo({ stdout, stderr }, own.includes('--json'));
  try {
    const { values, positionals } = parsed(command, own);
    if (values['help'] === true) {
      stdout.write(`${helpOf(command)}\n`);
      return EXIT.done;
    }
    return await command.run({ values, positionals, program, env, output });
  } catch (error) {
    return failed(command, error, output);
  }
}

function parsed(
  { options }: Command,
  args: readonly string[],
): {
  readonly values: Record<string, string | boolean | undefined>;
  readonly positionals: readonly string[];
} {
  const known = Object.entries({ ...options, ...COMMON });
  const config = Object.fromEntries(known.map(([name, { type }]) => [name, { type }]));
  try {
    return parseArgs({ args: [...args], options: config, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function failed(command: Command, error: unknown, output: Output): number {
  const place = `${PROGRAM} ${command.name}`;
  if (error instanceof UsageError) {
    output.warn(`${place}: ${error.message}\nSee ${place} --help.`);
    output.result({ ok: false, error: error.message });
    return EXIT.usage;
  }
  const isKnown =
    error instanceof CommandError ||
    error instanceof FleetError ||
    error instanceof LockRequestError;
  const isOption = error instanceof LeaderElectionOptionsError;
  if (!isKnown && !isOption) throw error;
  output.warn(`${place}: ${error.message}`);
  output.result({ ok: false, error: error.message });
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof FleetError && !error.isTemporary) return EXIT.refused;
  return isOption ? EXIT.usage : EXIT.temporary;
}

function overview(commands: readonly Command[]): string {
  const longest = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(longest)}  ${summary}`);
  return [
    `Usage: ${PROGRAM} COMMAND [options]`,
    '',
    ...lines,
    '',
    `${PROGRAM} COMMAND --help shows the options of a command.`,
  ].join('\n');
}

function helpOf({ name, usage, summary, details, options }: Command): string {
  const flags = Object.entries({ ...options, ...COMMON }).map(([option, { value, help }]) => ({
    flag: `--${option}${value === undefined ? '' : ` ${value}`}`,
    help,
  }));
  const longest = Math.max(...flags.map(({ flag }) => flag.length));
  return [
    `Usage: ${PROGRAM} ${name} ${usage}`,
    '',
    summary,
    ...(details === undefined ? [] : ['', wrapped(details)]),
    '',
    ...flags.map(({ flag, help }) => `  ${flag.padEnd(longest)}  ${help}`),
  ].join('\n');
}

/** In lines that fit a terminal. */
function wrapped(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line.length + word.length + 1 >= WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}
