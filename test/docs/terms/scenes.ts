import { resolveElectionOptions } from '../../../lib/core/election-options.js';
import type { Scene } from './term-picture.js';
import { storyOf } from './term-story.js';

const { renewDeadlineMs, retryPeriodMs, leaseDurationMs, drainTimeoutMs } = resolveElectionOptions(
  { role: 'x' },
  'x',
);
const inSeconds = (ms: number): string => `${ms / 1_000} s`;

/** A clean handover, as the transcript of that name tells it. */
export function aTerm(transcript: string): Scene {
  const story = storyOf(transcript, renewDeadlineMs);
  const [first, second] = story.terms as [(typeof story.terms)[0], (typeof story.terms)[0]];
  return {
    title: 'A term',
    subtitle: 'from its grant to the next one',
    story,
    untilMs: 15_500,
    renewDeadlineMs,
    drain: { at: first.endedAt!, words: 'drains, still renewed' },
    standby: 'follows, and hears of every renewal by its watch',
    captions: [
      { at: first.grantedAt, lane: 0, title: 'granted', lines: ['term 1'] },
      {
        at: first.validity[1]!.since,
        lane: 0,
        title: 'renewed',
        lines: [
          `every ${inSeconds(retryPeriodMs)}, and each time`,
          `valid for ${inSeconds(renewDeadlineMs)} from then`,
        ],
      },
      {
        at: first.endedAt!,
        lane: 0,
        title: 'revoked',
        lines: ['isLeader() is false,', 'and the signal aborts'],
      },
      {
        at: first.releasedAt!,
        lane: 0,
        title: 'released',
        lines: ['once the work has ended,', `within ${inSeconds(drainTimeoutMs)}`],
        shift: -50,
      },
      {
        at: second.grantedAt,
        lane: 1,
        title: 'granted',
        lines: ['term 2, milliseconds later'],
        shift: 12,
      },
    ],
  };
}

/** A leader that is cut off, as the transcript of that name tells it. */
export function noRelease(transcript: string): Scene {
  const story = storyOf(transcript, renewDeadlineMs);
  const [first, second] = story.terms as [(typeof story.terms)[0], (typeof story.terms)[0]];
  const heardAt = story.heardAt.at(-1)!;
  return {
    title: 'No release',
    subtitle: 'a leader that can no longer renew',
    story,
    untilMs: 21_500,
    renewDeadlineMs,
    gap: [first.endedAt!, second.grantedAt],
    wait: {
      from: heardAt,
      until: heardAt + leaseDurationMs,
      lines: [`b waits ${inSeconds(leaseDurationMs)} from the last`, 'renewal that it heard of'],
    },
    captions: [
      { at: first.grantedAt, lane: 0, title: 'granted', lines: ['term 1'] },
      {
        at: first.validity.at(-1)!.since,
        lane: 0,
        title: 'renewed for the last time',
        lines: ['then its network is cut'],
      },
      {
        at: first.endedAt!,
        lane: 0,
        title: 'revoked',
        lines: [`${inSeconds(renewDeadlineMs)} after that renewal,`, 'by its own clock'],
      },
      { at: second.grantedAt, lane: 1, title: 'granted', lines: ['term 2'] },
    ],
  };
}
