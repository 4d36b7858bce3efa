import { basename } from 'node:path';
import { isApplicationName, readElectionOptions } from '../../core/election-options.js';
import { OptionReader } from '../../core/option-reader.js';
import {
  createLeaderElection,
  type LeaderElectionOptions,
} from '../../election/leader-election.js';
import type { LogEntry } from '../../election/log-entry.js';
import {
  type Command,
  type CommandCall,
  isSet,
  millisecondsOf,
  textOf,
  UsageError,
} from '../command.js';
import { CONNECTION_OPTIONS, leaseNameOf, lockFactoryOf } from '../connection.js';
import { electionTimesOf, given } from '../election-options.js';
import { type RestartPolicy, type RunEvent, RunWhileLeader } from './run-while-leader.js';

const RESTART_POLICIES: readonly RestartPolicy[] = ['never', 'on-failure', 'always'];
const DEFAULT_DRAIN_MS = 20_000;
/** After the program was killed: until that is seen, and the lease is released. */
const AFTER_DRAIN_MS = 5_000;
const SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];

export const RUN: Command = {
  name: 'run',
  summary: 'Run a program while this process is leader, and at no other time.',
  usage: '--lease NAME [options] -- PROGRAM [argument …]',
  details:
    'The program starts when the lease is acquired. When leadership ends it gets SIGTERM, and SIGKILL if it ' +
    'is still there when the lease could be that of another process. The lease is released once it has ended.',
  options: {
    ...CONNECTION_OPTIONS,
    identity: {
      type: 'string',
      value: 'NAME',
      help: 'must be unique; default: host name and uuid',
    },
    profile: { type: 'string', value: 'fast|default|quiet', help: 'the times of the election' },
    'lease-duration-ms': { type: 'string', value: 'N', help: 'instead of that of the profile' },
    'renew-deadline-ms': { type: 'string', value: 'N', help: 'instead of that of the profile' },
    'retry-period-ms': { type: 'string', value: 'N', help: 'instead of that of the profile' },
    'drain-timeout-ms': {
      type: 'string',
      value: 'N',
      help: 'from SIGTERM to SIGKILL at most; default: 20000',
    },
    restart: {
      type: 'string',
      value: 'never|on-failure|always',
      help: 'when it ends by itself while this process leads; default: never',
    },
    once: { type: 'boolean', help: 'end with the first term, instead of competing again' },
    strict: { type: 'boolean', help: 'wait out a lease that was deleted or emptied by hand' },
  },
  async run(call) {
    if (process.platform === 'win32') {
      throw new UsageError('run needs process groups and signals, which Windows does not have');
    }
    const [command, ...args] = call.program ?? [];
    if (command === undefined) throw new UsageError('name the program behind --');
    const drainTimeoutMs = millisecondsOf(call, 'drain-timeout-ms') ?? DEFAULT_DRAIN_MS;
    const restart = restartOf(call);
    const { leaseName, role, namespace } = leaseNameOf(call);
    const options = {
      ...electionTimesOf(call),
      role,
      leaseName,
      ...applicationOf(command),
      ...given({
        namespace,
        identity: textOf(call, 'identity'),
        strict: isSet(call, 'strict') ? true : undefined,
      }),
      drainTimeoutMs: drainTimeoutMs + AFTER_DRAIN_MS,
    };
    const lock = lockFactoryOf(call, 'competitor');
    const line = (entry: LogEntry): void => say(call, entry, String(entry));
    const logger = { debug: () => {}, log: line, warn: line, error: line };
    const election = await createLeaderElection({ ...options, lock, logger });
    const { renewDeadlineMs } = resolvedTimes(options, election.identity);
    const run = new RunWhileLeader(
      election,
      {
        command,
        args,
        env: call.env,
        leaseName,
        restart,
        once: isSet(call, 'once'),
        renewDeadlineMs,
        drainTimeoutMs,
      },
      (event) => say(call, event, inWords(event)),
    );
    const stop = (signal: NodeJS.Signals): void => run.stop(signal);
    for (const signal of SIGNALS) process.on(signal, stop);
    try {
      return await run.run();
    } finally {
      for (const signal of SIGNALS) process.off(signal, stop);
    }
  },
};

function restartOf(call: CommandCall): RestartPolicy {
  const text = textOf(call, 'restart') ?? 'never';
  const policy = RESTART_POLICIES.find((each) => each === text);
  if (policy === undefined) {
    throw new UsageError(`--restart ${text}: must be one of ${RESTART_POLICIES.join(', ')}`);
  }
  return policy;
}

/** Followers log whose leader they follow: the program, and not the command line that runs it. */
function applicationOf(command: string): Pick<LeaderElectionOptions, 'application'> {
  const application = basename(command);
  return isApplicationName(application) ? { application } : {};
}

/** As the election has resolved them. */
function resolvedTimes(options: LeaderElectionOptions, identity: string) {
  return readElectionOptions(new OptionReader(options, Object.keys(options)), identity, undefined);
}

/** stdout and stderr belong to the program; what this process says goes to stderr, with `--json` a line of JSON each. */
function say({ output }: CommandCall, event: RunEvent | LogEntry, text: string): void {
  output.warn(output.isJson ? JSON.stringify(event) : `nestjs-leader-election run: ${text}`);
}

function inWords(event: RunEvent): string {
  switch (event.event) {
    case 'started':
      return `started the program (pid ${event.pid}, term ${event.term})`;
    case 'ending':
      return `asked the program to end within ${event.drainTimeoutMs} ms: ${event.why}`;
    case 'ended':
      return `the program ${event.how}`;
    case 'restarting':
      return `starts the program again in ${event.delayMs} ms`;
    default:
      return event satisfies never;
  }
}
