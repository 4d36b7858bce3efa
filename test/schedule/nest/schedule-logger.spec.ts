import { Logger } from '@nestjs/common';
import type { MissedReport } from '../../../lib/schedule/index.js';
import { ScheduleLogger } from '../../../lib/schedule/nest/schedule-logger.js';

const AT = new Date('2026-03-01T02:00:00.000Z');
const NEXT = new Date('2026-03-01T02:00:01.000Z');

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

  const log = new ScheduleLogger('billing');
  const ended = { endedAt: 0, succeeded: true, failure: null };
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
      () => log.onStarted('close-day', AT),
      'debug',
      'started the run of 2026-03-01T02:00:00.000Z',
    ],
    [
      'a run that ends well',
      () => log.onEnded('close-day', AT, ended),
      'debug',
      'finished the run of 2026-03-01T02:00:00.000Z',
    ],
    [
      'a run that throws',
      () => log.onEnded('close-day', AT, { ...ended, succeeded: false, failure: 'no paper' }),
      'error',
      'failed in the run of 2026-03-01T02:00:00.000Z: no paper',
    ],
    [
      'one tick at which nothing led',
      () => log.onMissed(missed('not-started', [AT])),
      'warn',
      'missed 1 tick (2026-03-01T02:00:00.000Z): no leader started it in time',
    ],
    [
      'two ticks at which nothing led',
      () => log.onMissed(missed('not-started', [AT, NEXT])),
      'warn',
      'missed 2 ticks (2026-03-01T02:00:00.000Z, 2026-03-01T02:00:01.000Z): no leader started them in time',
    ],
    [
      'a tick that Forbid gave up',
      () => log.onMissed(missed('forbidden', [AT])),
      'warn',
      "missed 1 tick (2026-03-01T02:00:00.000Z): the previous run had not ended (concurrencyPolicy 'Forbid')",
    ],
    [
      'a run whose end no record has',
      () => log.onMissed(missed('interrupted', [AT])),
      'warn',
      'missed 1 tick (2026-03-01T02:00:00.000Z): a leader claimed it and never recorded an end; the work may be done in full, in part or not at all',
    ],
    [
      'a claim without an answer',
      () => log.onUnresolved('close-day', AT),
      'warn',
      'did not start the tick due at 2026-03-01T02:00:00.000Z: could not confirm that its claim was stored',
    ],
    [
      'a result that was not stored',
      () => log.onUnrecorded('close-day', AT),
      'warn',
      'finished the run of 2026-03-01T02:00:00.000Z, but the result could not be recorded',
    ],
    [
      'a claimed tick that goes to the next leader',
      () => log.onReturned('close-day', AT, { isReturned: true, cause: 'leadership ended' }),
      'log',
      'handed the tick due at 2026-03-01T02:00:00.000Z back: leadership ended before the run started',
    ],
    [
      'a claimed tick that is lost',
      () => log.onReturned('close-day', AT, { isReturned: false, cause: 'it was suspended' }),
      'warn',
      'claimed the tick due at 2026-03-01T02:00:00.000Z and did not start it: it was suspended first, and handing it back failed',
    ],
  ])('when it is of %s, says what happened', (_, tell, level, text) => {
    tell();
    expect(lines).toEqual([`${level} Role "billing": job "close-day" ${text}`]);
  });

  it('when runs are triggered, claims no tick for them', () => {
    log.onStarted('close-day', new Date('2026-03-01T02:00:00.539Z'));
    expect(lines.join()).not.toContain('tick');
  });
});
