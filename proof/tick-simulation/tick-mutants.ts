import type { RunAsker } from '../../lib/schedule/ledger/run-asker.js';
import type { SpreadLedger } from '../../lib/schedule/ledger/spread-ledger.js';
import type { RoleSchedule } from '../../lib/schedule/runner/role-schedule.js';
import type { MutantBuild, SourcePatch } from '../mutants/mutant-build.js';
import type { ScheduleEngine } from './simulated-process.js';

/** A wrong claim: the simulation must find it out. */
export interface TickMutant {
  readonly name: string;
  readonly breaks: string;
  readonly patch: SourcePatch;
  /** The seed that the hunt begins with, unless another is asked for: one that is known to find it, where 1 takes long. */
  readonly seed?: number;
}

export const TICK_MUTANTS: readonly TickMutant[] = [
  {
    name: 'forget what was not told',
    breaks: 'a report is stored until it is told',
    patch: {
      file: 'schedule/runner/job-runner.ts',
      from: 'if (!this.told.add(job, id)) continue;',
      to: 'if (!this.told.add(job, id) || !id.startsWith(this.term!.holderIdentity)) continue;',
    },
  },
  {
    name: 'copy before the mark',
    seed: 13,
    breaks: 'nothing is written for a job elsewhere before its record is marked',
    patch: {
      file: 'schedule/ledger/spread-ledger.ts',
      from: '    if (mark === undefined && this.isToMove(job)) {\n',
      to: `    if (mark === undefined && this.isToMove(job)) {
      const [here, movedTo] = [this.first.known(job), this.targetOf(job)];
      if (here !== undefined) {
        await this.ledger(movedTo).submit(new RecordCopy(job, { ...here, movedTo }), options);
      }
`,
    },
  },
  {
    name: 'the option instead of the mark',
    seed: 8,
    breaks: 'the mark says where a job is',
    patch: {
      file: 'schedule/ledger/spread-ledger.ts',
      from: 'this.marks.set(job, first);\n    return first;',
      to: 'const hashed = { ...first, movedTo: 1 + (this.options.objects % 2) };\n    this.marks.set(job, hashed);\n    return hashed;',
    },
  },
  {
    name: 'sweep a mark',
    seed: 15,
    breaks: 'a mark is never removed',
    patch: {
      file: 'schedule/ledger/job-sweep.ts',
      from: 'if (record === undefined || isMark(record)) continue;',
      to: 'if (record === undefined) continue;',
    },
  },
  {
    name: 'run on timeout',
    breaks: 'an unknown outcome does not run',
    patch: {
      file: 'schedule/ledger/schedule-ledger.ts',
      from: "    if (outcome.kind === 'applied') {",
      to: "    if (outcome.kind === 'unknown') { this.current = { stored: { document, version: null } }; this.propose(0); }\n    if (outcome.kind === 'applied') {",
    },
  },
  {
    name: 'no nonce',
    breaks: 'only the nonce that made the step runs',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: 'record.accountedThrough === tick && record.claimNonce === nonce',
      to: 'record.accountedThrough === tick',
    },
  },
  {
    name: 'last tick may go back',
    breaks: 'accountedThrough only grows',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: 'record.accountedThrough >= tick',
      to: 'record.accountedThrough === tick',
    },
  },
  {
    name: "the timer's time",
    breaks: 'nominal times are computed',
    patch: {
      file: 'schedule/tick/tick-schedule.ts',
      from: 'const tick = due.newest;',
      to: 'const tick = now;',
    },
  },
  {
    name: 'hand back what was started',
    breaks: 'only a tick that will never be started is handed back',
    patch: {
      file: 'schedule/runner/job.ts',
      from: 'else await this.handBack(',
      to: 'await this.handBack(',
    },
  },
  {
    name: 'hand back blindly',
    seed: 51,
    breaks: 'a tick is handed back only by its claimant',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: 'record?.accountedThrough !== tick || record.claimNonce !== nonce',
      to: 'record === undefined || record.accountedThrough < tick',
    },
  },
  {
    name: 'begin at now after a sweep',
    seed: 26,
    breaks: 'a record made anew begins after every tick of those that were swept',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: 'accountedThrough: Math.max(now, accountedBefore)',
      to: 'accountedThrough: now',
    },
  },
  {
    name: 'claim without a record',
    seed: 60,
    breaks: 'what no record tells of is not claimed',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: "if (record === undefined) return { kind: 'settled', result: { kind: 'outdated' } };",
      to: "record ??= { ...NEVER_RUN, accountedThrough: basis, claimNonce: '' };",
    },
  },
  {
    name: 'sweep what is not marked',
    breaks: 'a record is swept only after it was marked for as long as it is kept',
    patch: {
      file: 'schedule/ledger/job-sweep.ts',
      from: 'if (unknownSince === null) return false;',
      to: '',
    },
  },
  {
    name: 'trigger without reserving',
    breaks: 'a run counts from before it is sent to be recorded',
    patch: {
      file: 'schedule/runner/job.ts',
      from: 'this.active.reserve(run);\n    const result',
      to: 'const { start } = run; run.start = (missed) => (this.active.reserve(run), start.call(run, missed));\n    const result',
    },
  },
  {
    name: 'a trigger uses up ticks',
    breaks: 'a triggered run accounts for no tick',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: 'record: { ...known,',
      to: 'record: { ...known, accountedThrough: Math.max(known.accountedThrough, accountedThrough),',
    },
  },
  {
    name: 'tell before the run has ended',
    breaks: 'a trigger ends with what became of its run',
    patch: {
      file: 'schedule/runner/job.ts',
      from: 'const { succeeded, cancellation } = await run.ended;',
      to: 'const { succeeded, cancellation } = { succeeded: true, cancellation: undefined };',
    },
  },
  {
    name: 'the signal before a start',
    breaks: 'the clock is asked before a start',
    patch: {
      file: 'schedule/runner/job.ts',
      from: 'this.environment.leadership.term !== term',
      to: 'term.signal.aborted',
    },
  },
  {
    name: 'compare schedules as text',
    breaks: 'a schedule is what it means',
    patch: {
      file: 'schedule/runner/job-runner.ts',
      from: 'schedule.continuing(text, now) !== undefined',
      to: 'schedule.text === text',
    },
  },
  {
    name: 'no deadline counts',
    breaks: 'no tick starts later than its deadline',
    patch: {
      file: 'schedule/tick/tick-schedule.ts',
      from: 'dueAt(tick) + startingDeadlineMs + 999;',
      to: 'dueAt(tick) + startingDeadlineMs + 9_999_999;',
    },
  },
  {
    name: 'start at the nominal time',
    seed: 3,
    breaks: 'a tick waits for its jitter',
    patch: {
      file: 'schedule/tick/tick-schedule.ts',
      from: 'tick !== null && schedule.dueAt(tick) <= until;',
      to: 'tick !== null && tick <= until;',
    },
  },
  {
    name: 'remember without end',
    breaks: 'no more past runs are recorded than are to be',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: '.slice(Math.max(0, history.length + 1 - limit));',
      to: ';',
    },
  },
  {
    name: 'remember no end',
    breaks: 'a run that has ended is remembered',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: 'return isKnown ? remembering(history, past, historyLimit) : history;',
      to: 'return history;',
    },
  },
  {
    name: 'claim what is suspended',
    seed: 6,
    breaks: 'no tick is claimed while the job is suspended for all',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: 'if (isSuspended(record.fleetSwitch, isOptionSuspend)) {',
      to: 'if (isOptionSuspend) {',
    },
  },
  {
    name: 'never hear of a resume',
    seed: 78,
    breaks: 'a leader looks whether another process has resumed a job',
    patch: {
      file: 'schedule/runner/job-runner.ts',
      from: 'this.occupy(this.job.refresh(term));',
      to: 'this.evaluate();',
    },
  },
  {
    name: 'all are the newest',
    seed: 12,
    breaks: 'with all, no tick is reported that may still start',
    patch: {
      file: 'schedule/runner/job-runner.ts',
      from: "missedPolicy === 'all' && startingDeadlineMs !== null",
      to: "missedPolicy === 'none' && startingDeadlineMs !== null",
    },
  },
  {
    name: 'none is the newest',
    seed: 11,
    breaks: 'with none, no tick starts that its leader was not there for',
    patch: {
      file: 'schedule/tick/tick-schedule.ts',
      from: "if (situation.missedPolicy === 'none' && due <= armedAfter) return false;",
      to: '',
    },
  },
  {
    name: 'tell again and again',
    breaks: 'a process tells a report once',
    patch: {
      file: 'schedule/runner/job-runner.ts',
      from: 'if (!this.told.add(job, id)) continue;',
      to: 'this.told.add(job, id);',
    },
  },
  {
    name: 'replace without waiting',
    seed: 9,
    breaks: 'Replace waits for the run before',
    patch: {
      file: 'schedule/tick/tick-schedule.ts',
      from: "activeRuns === 0 || concurrencyPolicy === 'Allow'",
      to: "activeRuns === 0 || concurrencyPolicy !== 'Forbid'",
    },
  },
  {
    name: 'own runs do not count',
    breaks: 'Forbid looks at the own runs',
    patch: {
      file: 'schedule/runner/active-runs.ts',
      from: 'return own.length + ',
      to: 'return ',
    },
  },
  {
    name: 'never resume',
    seed: 5,
    breaks: 'a job that was suspended runs again',
    patch: {
      file: 'schedule/runner/job-runner.ts',
      from: '    this.job.resume();\n',
      to: '',
    },
  },
  {
    name: 'never forget a lost claim',
    breaks: 'a claim that was lost is no run',
    patch: {
      file: 'schedule/runner/job.ts',
      from: "this.active.forget(run);\n    if (why === 'unresolved')",
      to: "if (why === 'unresolved')",
    },
  },
  {
    name: 'forget earlier ticks',
    breaks: 'ticks before the newest are reported',
    patch: {
      file: 'schedule/tick/tick-schedule.ts',
      from: "return { kind: 'claim', tick, missed: due.earlier, reason: reasonOf(due.earlier, situation) };",
      to: "return { kind: 'claim', tick, missed: [], reason: 'not-started' };",
    },
  },
  {
    name: 'skip the newest',
    breaks: 'the newest tick is reported too',
    patch: {
      file: 'schedule/tick/tick-schedule.ts',
      from: 'const missed = [...due.earlier, tick];',
      to: 'const missed = [...due.earlier];',
    },
  },
  {
    name: 'drop told without telling',
    breaks: 'what is stored to be told is told',
    patch: {
      file: 'schedule/runner/job-runner.ts',
      from: '    if (stored !== undefined) this.tell(stored, term);\n',
      to: '',
    },
  },
  {
    name: 'give runs up in silence',
    breaks: 'a run that was interrupted is reported',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: 'missed.length === 0 ? untold : [...untold, interruption(missed)]',
      to: 'untold',
    },
  },
  {
    name: 'leave what is claimed',
    breaks: 'the claim of an attempt removes it from those to come',
    patch: {
      file: 'schedule/ledger/retry-changes.ts',
      from: 'const claimed = withoutRetry(record, open);',
      to: 'const claimed = record;',
    },
  },
  {
    name: 'the attempt as it was read',
    breaks: 'an attempt that is handed back names all runs that had claimed it',
    seed: 6_000_757,
    patch: {
      file: 'schedule/ledger/retry-changes.ts',
      from: 'this.claimed = open;',
      to: '',
    },
  },
  {
    name: "win by another's run",
    breaks: 'an attempt is won by the own run alone',
    patch: {
      file: 'schedule/ledger/retry-changes.ts',
      from: '({ id }) => id === run.id)) return',
      to: '(each) => each.scheduledTime === run.scheduledTime && each.attempt === run.attempt)) return',
    },
  },
  {
    name: 'claim an attempt while suspended',
    seed: 16,
    breaks: 'no attempt is claimed while the job is suspended for all',
    patch: {
      file: 'schedule/ledger/retry-changes.ts',
      from: 'if (isSuspended(record.fleetSwitch, this.isOptionSuspend)) {',
      to: 'if (this.isOptionSuspend) {',
    },
  },
  {
    name: 'hand no attempt back',
    breaks: 'an attempt that is handed back is to start again',
    patch: {
      file: 'schedule/ledger/pending-retries.ts',
      from: 'retries: [...open.retries, { ...retry, returned }]',
      to: 'retries: [...open.retries, ...(returned.length > 99 ? [retry] : [])]',
    },
  },
  {
    name: 'drop reruns in silence',
    seed: 4,
    breaks: 'a tick of which no attempt has ended is reported when it is given up',
    patch: {
      file: 'schedule/ledger/pending-retries.ts',
      from: 'untold: [...record.untold, ...reports],',
      to: 'untold: reports.length > 99 ? reports : record.untold,',
    },
  },
  {
    name: 'follow what was given up',
    breaks: 'only the change that removes a failed run lets an attempt follow',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: 'const isFinal = recorded === undefined ||',
      to: 'const isFinal = recorded !== undefined &&',
    },
  },
  {
    name: 'rerun nothing, report nothing',
    seed: 3,
    breaks: 'a run that was interrupted is reported or run again',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: '    retries,\n    untold: missed',
      to: '    untold: missed',
    },
  },
  {
    name: 'a lost attempt is a missed tick',
    seed: 13,
    breaks: 'a tick that was started is not reported as not started',
    patch: {
      file: 'schedule/ledger/ledger-memory.ts',
      from: '  if (retry !== undefined) {\n',
      to: '  if (retry !== undefined && retry.attempt > 99) {\n',
    },
  },
  {
    name: 'retry without a limit',
    breaks: 'a tick has no more attempts than its job lets it',
    patch: {
      file: 'schedule/runner/retries.ts',
      from: 'attempt > retries.limit',
      to: 'attempt > retries.limit + 9',
    },
  },
  {
    name: 'rerun without a limit',
    seed: 63,
    breaks: 'a tick that is interrupted again and again is reported in the end',
    patch: {
      file: 'schedule/runner/retries.ts',
      from: 'const MOST_ATTEMPTS_OF_RERUNS = 4;',
      to: 'const MOST_ATTEMPTS_OF_RERUNS = 99;',
    },
  },
  {
    name: 'retry what has succeeded',
    breaks: 'an attempt follows a failure',
    patch: {
      file: 'schedule/runner/job.ts',
      from: 'outcome.failure !== null && run.mayBeRetried',
      to: 'run.mayBeRetried',
    },
  },
  {
    name: 'retry at once',
    breaks: 'an attempt waits for its back-off',
    patch: {
      file: 'schedule/runner/retries.ts',
      from: 'endedAt + backoffBefore(retries, next)',
      to: 'endedAt + 0 * backoffBefore(retries, next)',
    },
  },
  {
    name: 'no attempt is too late',
    breaks: 'no attempt starts later than the deadline of its tick',
    patch: {
      file: 'schedule/ledger/pending-retries.ts',
      from: 'notAfter !== null && now > notAfter',
      to: 'notAfter !== null && now > notAfter + 9_999_999',
    },
  },
  {
    name: 'retry beside another run',
    seed: 3,
    breaks: 'an attempt waits for active runs under Forbid',
    patch: {
      file: 'schedule/runner/job-runner.ts',
      from: "active === 0 || concurrencyPolicy === 'Allow'",
      to: "active === 0 || concurrencyPolicy !== 'Replace'",
    },
  },
  {
    name: 'never look at attempts',
    breaks: 'an attempt whose time has come starts',
    patch: {
      file: 'schedule/runner/retries.ts',
      from: 'retry.notBefore <= now && !isTooLate(retry, now)',
      to: 'retry.notBefore <= now - 9e9 && !isTooLate(retry, now)',
    },
  },
  {
    name: 'cancel whatever is active',
    seed: 7,
    breaks: 'a cancel is about the runs that it has found first',
    patch: {
      file: 'schedule/ledger/cancel-changes.ts',
      from: 'this.found ??= {',
      to: 'this.found = {',
    },
  },
  {
    name: 'cancel what begins later',
    breaks: 'a cancel is about no run that has begun after it',
    patch: {
      file: 'schedule/ledger/cancel-changes.ts',
      from: '.filter(isCandidate)',
      to: '',
    },
  },
  {
    name: 'end what is not marked',
    seed: 4,
    breaks: 'a mark is that of one run',
    patch: {
      file: 'schedule/runner/job.ts',
      from: 'recorded?.find(({ id }) => id === run.record.id) ?? {}',
      to: 'recorded?.find(({ cancellation: mark }) => mark !== undefined) ?? {}',
    },
  },
  {
    name: 'wait for the deaf',
    seed: 4,
    breaks: 'a run that ignores its signal makes way after a grace',
    patch: {
      file: 'schedule/runner/job-run.ts',
      from: 'if (this.grace === undefined) this.beginGrace(onOverdue);',
      to: '',
    },
  },
  {
    name: 'tell a cancelled run as failed',
    breaks: 'a run that was cancelled is recorded as that',
    patch: {
      file: 'schedule/runner/job-run.ts',
      from: 'const { cancellation } = this;',
      to: 'const cancellation = undefined as RunCancellation | undefined;',
    },
  },
  {
    name: 'forget who has cancelled',
    seed: 4,
    breaks: 'a run that was cancelled and is given up is recorded as cancelled',
    patch: {
      file: 'schedule/ledger/ledger-changes.ts',
      from: 'return cancellation === undefined\n',
      to: 'return cancellation !== null\n',
    },
  },
  {
    name: 'move with fewer ticks',
    seed: 225,
    breaks: 'a record that moves accounts for no less than before',
    patch: {
      file: 'schedule/ledger/moved-record.ts',
      from: 'record: { ...known, movedTo: this.movedTo }',
      to: 'record: { ...known, accountedThrough: known.accountedThrough - 4_000, movedTo: this.movedTo }',
    },
  },
  {
    name: 'the signal before a triggered run',
    seed: 101,
    breaks: 'the clock is asked before a triggered run',
    patch: {
      file: 'schedule/runner/job.ts',
      from: 'this.environment.leadership.term === term',
      to: '!term.signal.aborted',
    },
  },
  {
    name: 'start what another attempts',
    breaks: 'an attempt is claimed before it starts',
    patch: {
      file: 'schedule/ledger/retry-changes.ts',
      from: "return { kind: 'settled', result: 'taken' };",
      to: "return { kind: 'settled', result: 'won' };",
    },
  },
  {
    name: 'leave a claimed request',
    breaks: 'the claim of a request removes it',
    patch: {
      file: 'schedule/ledger/trigger-changes.ts',
      from: 'const { trigger: _trigger, ...others } = record;\n    const answer',
      to: 'const others = record;\n    const answer',
    },
  },
  {
    name: 'start for another request',
    breaks: 'a request is claimed by one run',
    patch: {
      file: 'schedule/ledger/trigger-changes.ts',
      from: "return { kind: 'settled', result: 'gone' };",
      to: "return { kind: 'settled', result: 'won' };",
    },
  },
  {
    name: 'no request is too late',
    breaks: 'no run starts after the time of its request',
    patch: {
      file: 'schedule/runner/job.ts',
      from: 'return this.now() > notAfter;',
      to: 'return this.now() > notAfter + 9_999_999;',
    },
  },
  {
    name: 'the time before the claim',
    seed: 5,
    breaks: 'no run starts after the time of its request, however long its claim takes',
    patch: {
      file: 'schedule/runner/job.ts',
      from: 'if (isStored && mayStart && !isLate) {',
      to: 'if (isStored && mayStart) {',
    },
  },
  {
    name: 'a claim is a start',
    breaks: 'a run that was asked for is told as started once it is',
    patch: {
      file: 'schedule/ledger/trigger-changes.ts',
      from: "state: 'claimed', run: run.id",
      to: "state: 'started', run: run.id",
    },
  },
  {
    name: 'answer by any run',
    breaks: 'the answer to a request is about its run',
    patch: {
      file: 'schedule/ledger/trigger-answer.ts',
      from: 'triggered === undefined || triggered.run !== run',
      to: 'triggered === undefined',
    },
  },
  {
    name: 'a lost claim stays a claim',
    seed: 5,
    breaks: 'a claim that was not confirmed in time is answered as not started',
    patch: {
      file: 'schedule/ledger/ledger-memory.ts',
      from: 'return { ...record, active, ...answer, isRecalled: true };',
      to: 'return { ...record, active, triggered: record.triggered ?? answer.triggered!, isRecalled: true };',
    },
  },
  {
    name: 'refuse without an answer',
    breaks: 'a request is removed with an answer',
    patch: {
      file: 'schedule/ledger/trigger-changes.ts',
      from: 'triggered: refusal(id, this.answer) } };',
      to: "...(id === '' && { triggered: refusal(id, this.answer) }) } };",
    },
  },
  {
    name: 'hear of no request',
    breaks: 'a leader that reads a request answers it',
    patch: {
      file: 'schedule/runner/job-runner.ts',
      from: 'this.asked.look(record, term);',
      to: '',
    },
  },
  {
    name: 'ask again whatever was answered',
    seed: 2,
    breaks: 'a request that may have been answered is not sent again',
    patch: {
      file: 'schedule/ledger/trigger-changes.ts',
      from: 'return !this.wasProposed || triggered?.id === this.answeredBefore;',
      to: 'return !this.wasProposed || triggered?.id !== this.request.id;',
    },
  },
  {
    name: 'taken back for all that is known',
    breaks: 'what could not be taken back is told as that',
    patch: {
      file: 'schedule/ledger/run-asker.ts',
      from: "return { kind: 'unresolved', notAfter };",
      to: "return { kind: 'taken-back' };",
    },
  },
  {
    name: 'ask under another id',
    breaks: 'a request that is sent again is the same one',
    patch: {
      file: 'schedule/ledger/trigger-changes.ts',
      from: 'const isStored = trigger?.id === request.id || triggered?.id === request.id;',
      to: 'const isStored = false;',
    },
  },
];

/** The part of the library that the simulation drives. */
export const SIMULATED_PARTS = [
  'core',
  'elector',
  'schedule/ledger',
  'schedule/runner',
  'schedule/tick',
];

export async function engineOf(
  build: MutantBuild,
  { name, patch }: TickMutant,
): Promise<ScheduleEngine> {
  const load = await build.build(name, [patch]);
  const role = (await load('schedule/runner/role-schedule.ts')) as {
    RoleSchedule: typeof RoleSchedule;
  };
  const ledger = (await load('schedule/ledger/spread-ledger.ts')) as {
    SpreadLedger: typeof SpreadLedger;
  };
  const asker = (await load('schedule/ledger/run-asker.ts')) as { RunAsker: typeof RunAsker };
  return {
    RoleSchedule: role.RoleSchedule,
    SpreadLedger: ledger.SpreadLedger,
    RunAsker: asker.RunAsker,
  };
}
