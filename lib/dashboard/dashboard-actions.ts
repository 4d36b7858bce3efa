import { LockRequestError } from '../core/errors.js';
import { isJsonObject } from '../core/json-document.js';
import { podOf } from '../core/member.js';
import { textFault } from '../core/option-reader.js';
import { titleOf } from '../core/thrown-value.js';
import { atHome } from '../elector/system-clock.js';
import { shortIdentity } from '../election/log-entry.js';
import { isStarted, known, notAnswered, notStarted } from '../fleet/asked-run.js';
import { failedRequest, FleetError } from '../fleet/fleet-error.js';
import { FleetJobs } from '../fleet/fleet-jobs.js';
import { handOver, waitingBy } from '../fleet/leader-requests.js';
import { LONGEST_REASON } from '../schedule/ledger/job-record.js';
import type { ActionResult, DashboardAction } from './dashboard-view.js';
import type { WatchedElection } from './watched-election.js';

/** A leader hears of a request within a retry period, and its work may take a while to end. */
const HANDOVER_MS = 30_000;
const TRIGGER_MS = 30_000;
const CANCEL_WAIT_MS = 10_000;
/** Each of them waits for a leader. */
const MOST_AT_ONCE = 8;
const LONGEST_NAME = 253;

/** An answer to whoever asked for an action. */
export interface ActionAnswer extends ActionResult {
  readonly status: number;
}

type JobAction = Exclude<DashboardAction, { readonly action: 'step-down' }>;

/** The fields of each action, beside `action` and `role`. */
const FIELDS: Readonly<Record<DashboardAction['action'], readonly string[]>> = {
  'step-down': ['to'],
  trigger: ['job'],
  resume: ['job'],
  suspend: ['job', 'reason'],
  cancel: ['job', 'reason'],
};

function refused(status: number, message: string): ActionAnswer {
  return { status, isDone: false, message };
}

function done(...sentences: readonly string[]): ActionAnswer {
  return { status: 200, isDone: true, message: sentences.map(sentence).join(' ') };
}

function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** What is wrong with what was sent; undefined if it is an action. */
export function actionFault(value: unknown): string | undefined {
  if (!isJsonObject(value)) return 'the body must be a JSON object';
  const { action, role } = value;
  const names = Object.keys(FIELDS);
  if (typeof action !== 'string' || !names.includes(action)) {
    return `action: must be one of ${names.join(', ')}`;
  }
  const own = FIELDS[action as DashboardAction['action']];
  const unknown = Object.keys(value).find((field) => !['action', 'role', ...own].includes(field));
  if (unknown !== undefined) return `${unknown}: ${action} has no such field`;
  const texts: [string, unknown][] = [['role', role]];
  if (own.includes('job')) texts.push(['job', value['job']]);
  if (value['to'] !== undefined) texts.push(['to', value['to']]);
  for (const [field, text] of texts) {
    const fault = textFault(text, 'plans', LONGEST_NAME);
    if (fault !== undefined) return `${field}: ${fault.rule}`;
  }
  return own.includes('reason') ? reasonFault(value['reason']) : undefined;
}

function reasonFault(reason: unknown): string | undefined {
  if (reason === '') return undefined;
  const fault = textFault(reason, 'the database moves', LONGEST_REASON);
  return fault === undefined ? undefined : `reason: ${fault.rule}`;
}

/** Does for a viewer what the command line does, through the objects of the fleet: so on any replica. */
export class DashboardActions {
  private underWay = 0;
  private end: () => void = () => undefined;
  private readonly ended = new Promise<void>((resolve) => (this.end = resolve));
  private isClosed = false;

  /** @param acted with the role, after each of them */
  constructor(
    private readonly elections: () => readonly WatchedElection[],
    private readonly acted: (role: string) => void,
  ) {}

  /** Never rejects. */
  async perform(value: unknown): Promise<ActionAnswer> {
    const fault = actionFault(value);
    if (fault !== undefined) return refused(400, fault);
    const action = value as DashboardAction;
    const election = this.elections().find(({ role }) => role === action.role);
    if (election === undefined)
      return refused(404, `this application has no role "${action.role}"`);
    if (this.isClosed) return refused(503, 'this replica is shutting down: ask another one');
    if (this.underWay >= MOST_AT_ONCE) {
      return refused(
        503,
        'other actions are under way on this replica: try again when they are over',
      );
    }
    this.underWay += 1;
    // Not in the async context of this request, which the connections of the lock would keep.
    const acting = atHome(() => this.act(election, action)).finally(() => {
      this.underWay -= 1;
      this.acted(action.role);
    });
    const leaving = this.ended.then(() =>
      refused(
        503,
        'this replica is shutting down, and it is not known whether it was done: look before you ask again',
      ),
    );
    return Promise.race([acting, leaving]);
  }

  /** Whoever waits for an answer gets one now. */
  close(): void {
    this.isClosed = true;
    this.end();
  }

  private async act(election: WatchedElection, action: DashboardAction): Promise<ActionAnswer> {
    const by = `dashboard@${podOf(election.options.identity)}`;
    try {
      return action.action === 'step-down'
        ? await stepDown(election, action.to, by)
        : await changeJob(election, action, by);
    } catch (error) {
      const told = error instanceof LockRequestError ? failedRequest(error) : error;
      if (told instanceof FleetError) return refused(told.isTemporary ? 503 : 409, told.message);
      // A lock of the application's own may throw anything.
      return refused(500, titleOf(error));
    }
  }
}

async function stepDown(
  { clock, lock }: WatchedElection,
  to: string | undefined,
  by: string,
): Promise<ActionAnswer> {
  const request = { by, to, timeoutMs: HANDOVER_MS };
  const asked = await handOver(lock, request, waitingBy(clock));
  const { leader, term, isAnswered, next, isAsAsked } = asked;
  const before = shortIdentity(leader);
  const first = isAnswered
    ? `${before} has stepped down (term ${term})`
    : `term ${term} of ${before} ended before it answered`;
  if (next === undefined) {
    return done(first, 'No process leads yet: its work ends, or no other process competes');
  }
  const follows = `${shortIdentity(next)} leads now`;
  if (isAsAsked) return done(first, follows);
  const message = [first, `${to} did not acquire the lease in time`, follows].map(sentence);
  return refused(409, message.join(' '));
}

async function changeJob(
  { clock, lock }: WatchedElection,
  action: JobAction,
  by: string,
): Promise<ActionAnswer> {
  const warnings: string[] = [];
  const fleet = new FleetJobs(lock, { by, clock, warn: (text) => warnings.push(text) });
  const { job } = action;
  switch (action.action) {
    case 'suspend':
      await fleet.switchTo(job, true, action.reason);
      await fleet.tellLeader();
      return done(`job ${job} is suspended: no tick of it starts, whoever leads`, ...warnings);
    case 'resume':
      await fleet.switchTo(job, false, '');
      await fleet.tellLeader();
      return done(`job ${job} is scheduled again`, ...warnings);
    case 'cancel':
      return cancel(fleet, action, warnings);
    case 'trigger':
      return trigger(fleet, job, warnings);
    default:
      return action satisfies never;
  }
}

async function cancel(
  fleet: FleetJobs,
  { job, reason }: Extract<JobAction, { readonly reason: string }>,
  warnings: readonly string[],
): Promise<ActionAnswer> {
  const { found, active } = await fleet.cancel(job, reason);
  if (found === 0) return refused(409, `No run of job ${job} is active.`);
  await fleet.tellLeader();
  const areOver = await fleet.untilEnded(job, active, CANCEL_WAIT_MS);
  const runs = found === 1 ? 'the run' : `${found} runs`;
  if (areOver) return done(`${runs} of job ${job} was cancelled, and has ended`, ...warnings);
  return done(
    `${runs} of job ${job} was cancelled, and has not ended after ${CANCEL_WAIT_MS / 1_000} s: a handler that ignores its signal cannot be stopped`,
    ...warnings,
  );
}

async function trigger(
  fleet: FleetJobs,
  job: string,
  warnings: readonly string[],
): Promise<ActionAnswer> {
  const outcome = await fleet.trigger(job, TRIGGER_MS);
  if (outcome.kind !== 'answered') throw notAnswered(job, outcome, TRIGGER_MS);
  const { answer } = outcome;
  if (answer.state === 'not-started') throw notStarted(job, answer);
  if (answer.state === 'refused') {
    return refused(
      409,
      `Job ${job}: ${shortIdentity(answer.by)} started no run: ${answer.refused}`,
    );
  }
  const text = `job ${job}: ${known(answer)}`;
  return isStarted(answer) ? done(text, ...warnings) : refused(503, sentence(text));
}
