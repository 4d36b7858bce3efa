import { Logger } from '@nestjs/common';
import { testTerm } from '../../../lib/testing/index.js';
import type { MissedReport } from '../../../lib/schedule/index.js';
import { ScheduleLogger } from '../../../lib/schedule/nest/schedule-logger.js';
import { AT, CANCELLATION, RETRY } from '../../support/every-log-line.js';

const NEXT = new Date('2026-03-01T02:00:01.000Z');
const TERM = testTerm();
const RUN = { job: 'close-day', scheduledTime: AT, term: TERM, attempt: 1 };

describe('the log of the schedule', () => {
  const lines: string[] = [];
  const write = (level: string) => (text: unknown) => lines.push(`${level} ${String(text)}`);
  beforeEach(() => {
    lines.length = 0;
    Logger.overrideLogger({
      log: write('log'),
      warn: write('warn'),
      error: write('error'),
      debug: write('debug'),
    });
  });
  afterEach(() => Logger.overrideLogger(false));

  const log = new ScheduleLogger({
    role: 'billing',
    lock: 'Lease default/billing',
    holderIdentity: 'pod-a',
  });
  const ended = { retryAt: null, endedAt: 0, durationMs: 0, succeeded: true, failure: null };
  const missed = (reason: MissedReport['reason'], times: Date[]): MissedReport => ({
    job: 'close-day',
    reason,
    times,
    count: times.length,
    isCapped: false,
  });

  it.each<[string, () => void, string, string]>([
    [
      'a run that starts',
      () => log.onStarted(RUN),
      'debug',
      'started the run of 2026-03-01T02:00:00.000Z',
    ],
    [
      'a run that ends well',
      () => log.onEnded(RUN, ended),
      'debug',
      'finished the run of 2026-03-01T02:00:00.000Z',
    ],
    [
      'a run that throws',
      () => log.onEnded(RUN, { ...ended, succeeded: false, failure: 'no paper' }),
      'error',
      'failed in the run of 2026-03-01T02:00:00.000Z: no paper',
    ],
    [
      'a run that is cancelled',
      () => log.onCancelled(RUN, CANCELLATION),
      'log',
      'aborts the signal of the run of 2026-03-01T02:00:00.000Z, cancelled by pod-b: no paper ' +
        '(2026-03-01T02:00:01.000Z)',
    ],
    [
      'a run that has ended after that',
      () =>
        log.onEnded(RUN, {
          ...ended,
          succeeded: false,
          failure: 'cancelled by pod-b: no paper',
          cancellation: CANCELLATION,
        }),
      'log',
      'ended the run of 2026-03-01T02:00:00.000Z, cancelled by pod-b: no paper',
    ],
    [
      'a run that was cancelled, and ignores it',
      () => log.onOverdue(RUN, 'cancelled'),
      'error',
      'ignored its signal for 30 s in the run of 2026-03-01T02:00:00.000Z; the next run no longer ' +
        'waits for it (it was cancelled)',
    ],
    [
      'a run that throws and is tried again',
      () =>
        log.onEnded(RUN, {
          ...ended,
          succeeded: false,
          failure: 'no paper',
          retryAt: new Date(AT),
        }),
      'error',
      'failed in the run of 2026-03-01T02:00:00.000Z: no paper; attempt 2 may start at 2026-03-01T02:00:00.000Z',
    ],
    [
      'a later attempt that starts',
      () => log.onStarted({ ...RUN, attempt: 2 }),
      'debug',
      'started attempt 2 of the run of 2026-03-01T02:00:00.000Z',
    ],
    [
      'a later attempt whose claim has no answer',
      () => log.onUnresolved({ ...RUN, attempt: 2 }),
      'warn',
      'did not start attempt 2 of the tick due at 2026-03-01T02:00:00.000Z: could not confirm that its claim was stored',
    ],
    [
      'a later attempt in the place of an interrupted run',
      () => log.onRerun({ ...RUN, attempt: 2 }),
      'warn',
      'runs the tick due at 2026-03-01T02:00:00.000Z again, as attempt 2: its leader never recorded an end of the run before',
    ],
    [
      'a later attempt that is too late',
      () => log.onDropped('close-day', RETRY, 'too-late', TERM),
      'warn',
      'gave up attempt 3 of the tick due at 2026-03-01T02:00:00.000Z: no leader started it within startingDeadlineSeconds',
    ],
    [
      'a later attempt whose place the next tick takes',
      () => log.onDropped('close-day', RETRY, 'replaced', TERM),
      'warn',
      "gave up attempt 3 of the tick due at 2026-03-01T02:00:00.000Z: the next tick takes its place (concurrencyPolicy 'Replace')",
    ],
    [
      'one tick at which nothing led',
      () => log.onMissed(missed('not-started', [AT]), TERM),
      'warn',
      'missed 1 tick (2026-03-01T02:00:00.000Z): no leader started it in time',
    ],
    [
      'two ticks at which nothing led',
      () => log.onMissed(missed('not-started', [AT, NEXT]), TERM),
      'warn',
      'missed 2 ticks (2026-03-01T02:00:00.000Z, 2026-03-01T02:00:01.000Z): no leader started them in time',
    ],
    [
      'a tick that Forbid gave up',
      () => log.onMissed(missed('forbidden', [AT]), TERM),
      'warn',
      "missed 1 tick (2026-03-01T02:00:00.000Z): the previous run had not ended (concurrencyPolicy 'Forbid')",
    ],
    [
      'a run whose end no record has',
      () => log.onMissed(missed('interrupted', [AT]), TERM),
      'warn',
      'missed 1 tick (2026-03-01T02:00:00.000Z): a leader claimed it and never recorded an end; the work may be done in full, in part or not at all',
    ],
    [
      'a claim without an answer',
      () => log.onUnresolved(RUN),
      'warn',
      'did not start the tick due at 2026-03-01T02:00:00.000Z: could not confirm that its claim was stored',
    ],
    [
      'a tick that another replica has claimed',
      () => log.onSkipped(RUN, 'taken'),
      'debug',
      'did not start the run of 2026-03-01T02:00:00.000Z: another replica has accounted for its tick',
    ],
    [
      'a result that was not stored',
      () => log.onUnrecorded(RUN),
      'warn',
      'finished the run of 2026-03-01T02:00:00.000Z, but the result could not be recorded',
    ],
    [
      'a claimed tick that goes to the next leader',
      () => log.onReturned(RUN, { isReturned: true, cause: 'leadership ended' }),
      'log',
      'handed the tick due at 2026-03-01T02:00:00.000Z back: leadership ended before the run started',
    ],
    [
      'a claimed tick that is lost',
      () => log.onReturned(RUN, { isReturned: false, cause: 'it was suspended' }),
      'warn',
      'claimed the tick due at 2026-03-01T02:00:00.000Z and did not start it: it was suspended first, and handing it back failed',
    ],
  ])('when it is of %s, says what happened', (_, tell, level, text) => {
    tell();
    expect(lines).toEqual([`${level} job "close-day" ${text} [billing]`]);
  });

  it('when runs are triggered, claims no tick for them', () => {
    log.onStarted({ ...RUN, scheduledTime: new Date('2026-03-01T02:00:00.539Z') });
    expect(lines.join()).not.toContain('tick');
  });
});
