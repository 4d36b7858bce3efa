#!/usr/bin/env node
import { runCli } from './cli.js';
import { patientStream } from './patient-stream.js';
import { RUN } from './run/run.command.js';

/** The last lines about a program are read in this time, or they are lost. */
const LAST_LINES_MS = 2_000;
/** As a shell says that a process was ended by SIGPIPE, which Node.js ignores. */
const EXIT_NO_READER = 141;

/** Node.js has it from 22.15 on. */
interface ReplaceableProcess {
  execve?(file: string, args: readonly string[], env: Readonly<Record<string, string>>): never;
}

const { argv, env, execPath } = process;
const args = argv.slice(2);
const runsProgram = args[0] === RUN.name && args.includes('--');
process.exitCode = runsProgram ? await runProgram() : await report();

/** Waits for no reader: what it runs must end in time, and whoever started it waits for its exit code. */
async function runProgram(): Promise<number> {
  // Node.js would open it otherwise, and with that change what the program inherits.
  const stdout = { write: (text: string) => process.stdout.write(text) };
  const stderr = patientStream(2);
  const exitCode = await runCli(args, { env, stdout, stderr });
  if (await stderr.end(LAST_LINES_MS)) return exitCode;
  // Node.js would wait for the thread that writes. Another program in this process has no such thread.
  const code = `process.exitCode = ${exitCode}`;
  (process as ReplaceableProcess).execve?.(execPath, [execPath, '-e', code], {});
  return exitCode;
}

/** Waits for whoever reads what it says, however slowly, as every tool does: it is called for what it says. */
function report(): Promise<number> {
  const { stdout, stderr } = process;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    // `head` has read enough, or a pager was left: there is no reader for the rest.
    process.exit(EXIT_NO_READER);
  });
  // Without a reader of stderr, the exit code is what is left to say.
  stderr.on('error', () => {});
  return runCli(args, { env, stdout, stderr });
}
