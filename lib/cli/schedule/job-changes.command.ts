import { interruption, isStarted, known, notAnswered, notStarted } from '../../fleet/asked-run.js';
import type { FleetJobs } from '../../fleet/fleet-jobs.js';
import { LONGEST_REASON, type TriggerAnswer } from '../../schedule/ledger/job-record.js';
import {
  type Command,
  type CommandCall,
  CommandError,
  type CommandOptions,
  EXIT,
  isSet,
  millisecondsOf,
  onlyArgument,
  textOf,
  UsageError,
} from '../command.js';
import { CONNECTION_OPTIONS } from '../connection.js';
import { withFleetJobs } from './fleet.js';

const REASON: CommandOptions = {
  reason: {
    type: 'string',
    value: 'TEXT',
    help: 'one line, which the list of jobs and the log show',
  },
};
const RIGHTS =
  'Needs the verbs get and update on the objects beside the lease, and on the lease so that the leader hears of it at once.';
const DEFAULT_TRIGGER_MS = 60_000;
const DEFAULT_WAIT_MS = 30_000;
const LONGEST_RUN_MS = 86_400_000;

const jobOf = (call: CommandCall): string => onlyArgument(call, 'the job');

function reasonOf(call: CommandCall): string {
  const reason = textOf(call, 'reason') ?? '';
  if (reason.length <= LONGEST_REASON && !/[\r\n]/.test(reason)) return reason;
  throw new UsageError(`--reason: must be one line of at most ${LONGEST_REASON} characters`);
}

export const SUSPEND: Command = {
  name: 'suspend',
  summary: 'Suspend a job in the whole fleet; what runs continues.',
  usage: 'JOB --lease NAME [--reason TEXT] [options]',
  details: RIGHTS,
  options: { ...CONNECTION_OPTIONS, ...REASON },
  run: (call) => switched(call, true),
};

export const RESUME: Command = {
  name: 'resume',
  summary: 'Schedule a job again, also one whose options say suspend: true.',
  usage: 'JOB --lease NAME [options]',
  details: RIGHTS,
  options: CONNECTION_OPTIONS,
  run: (call) => switched(call, false),
};

function switched(call: CommandCall, isSuspended: boolean): Promise<number> {
  const job = jobOf(call);
  const reason = reasonOf(call);
  return withFleetJobs(call, async (fleet) => {
    await fleet.switchTo(job, isSuspended, reason);
    // No claim is written on a record that says so, whether the leader has read it or not.
    const isHeard = await fleet.tellLeader();
    call.output.say(
      `${job} is ${isSuspended ? 'suspended: no tick of it starts, whoever leads' : 'scheduled again'}`,
    );
    call.output.result({ ok: true, job, isSuspended, isHeard });
    return EXIT.done;
  });
}

export const CANCEL: Command = {
  name: 'cancel',
  summary: 'Cancel the runs of a job that are active now, on whichever replica.',
  usage: 'JOB --lease NAME [--reason TEXT] [options]',
  details: RIGHTS,
  options: {
    ...CONNECTION_OPTIONS,
    ...REASON,
    'wait-ms': {
      type: 'string',
      value: 'N',
      help: 'how long to wait for their end; default: 30000',
    },
  },
  run: (call) => {
    const job = jobOf(call);
    const reason = reasonOf(call);
    const waitMs = millisecondsOf(call, 'wait-ms') ?? DEFAULT_WAIT_MS;
    const { output } = call;
    return withFleetJobs(call, async (fleet) => {
      const { found, active } = await fleet.cancel(job, reason);
      if (found === 0) {
        output.say(`${job}: no run is active`);
        output.result({ ok: true, job, result: 'none' });
        return EXIT.done;
      }
      await fleet.tellLeader();
      const areOver = await fleet.untilEnded(job, active, waitMs);
      output.say(
        areOver
          ? `${job}: ${found} cancelled, and ended`
          : `${job}: cancelled, and ${active.length} had not ended after ${waitMs} ms: a handler that ignores its signal cannot be stopped`,
      );
      output.result({ ok: areOver, job, result: areOver ? 'ended' : 'asked' });
      return areOver ? EXIT.done : EXIT.temporary;
    });
  },
};

export const TRIGGER: Command = {
  name: 'trigger',
  summary: 'Let the leader start one run of a job now, beside its schedule.',
  usage: 'JOB --lease NAME [--wait] [options]',
  details:
    `${RIGHTS} The leader claims the request by a compare-and-set, so the run starts once or not at all. ` +
    'Ends with 75 if that is not known, or if none was started in time: it says which.',
  options: {
    ...CONNECTION_OPTIONS,
    'timeout-ms': { type: 'string', value: 'N', help: 'until when it may start; default: 60000' },
    wait: { type: 'boolean', help: 'wait for the end of the run, and end with 1 if it failed' },
  },
  run: (call) => {
    const job = jobOf(call);
    const timeoutMs = millisecondsOf(call, 'timeout-ms') ?? DEFAULT_TRIGGER_MS;
    return withFleetJobs(call, async (fleet) => {
      const outcome = await fleet.trigger(job, timeoutMs);
      if (outcome.kind !== 'answered') throw notAnswered(job, outcome, timeoutMs);
      const { answer } = outcome;
      if (answer.state === 'refused') {
        throw new CommandError(`job ${job}: ${answer.by} started no run: ${answer.refused}`);
      }
      if (answer.state === 'not-started') throw notStarted(job, answer);
      call.output.say(`${job}: ${known(answer)}`);
      if (isSet(call, 'wait')) return ended(call, fleet, job, answer);
      const { by, run, state } = answer;
      const ok = isStarted(answer);
      call.output.result({ ok, job, by, run, state });
      return ok ? EXIT.done : EXIT.temporary;
    });
  },
};

async function ended(
  { output }: CommandCall,
  fleet: FleetJobs,
  job: string,
  { id, at, by, run }: TriggerAnswer,
): Promise<number> {
  await fleet.untilEnded(job, [run], LONGEST_RUN_MS);
  const { history, triggered } = await fleet.job(job);
  const past = history.findLast((each) => each.isTriggered === true && each.startedAt === at);
  const answer = triggered?.id === id ? triggered : undefined;
  if (answer?.state === 'not-started') throw notStarted(job, answer);
  const outcome = past?.outcome ?? answer?.state;
  if (outcome === undefined || outcome === 'claimed' || outcome === 'started') {
    throw new CommandError(`${job}: its run has ended; how is not recorded`, EXIT.temporary);
  }
  if (outcome === 'interrupted')
    throw new CommandError(`${job}: ${interruption(by)}`, EXIT.temporary);
  const reason = past?.reason ?? '';
  output.say(`${job}: ${outcome}${reason === '' ? '' : `: ${reason}`}`);
  output.result({ ok: outcome === 'succeeded', job, by, run, outcome, reason });
  return outcome === 'succeeded' ? EXIT.done : EXIT.refused;
}
