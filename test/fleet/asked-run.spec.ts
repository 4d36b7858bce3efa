import { describe, expect, it } from '@jest/globals';
import { known, notAnswered, notStarted } from '../../lib/fleet/asked-run.js';
import type { TriggerAnswer } from '../../lib/schedule/ledger/job-record.js';
import type { AskedOutcome } from '../../lib/schedule/ledger/run-asker.js';

const answer: TriggerAnswer = {
  id: 'r1',
  at: 0,
  by: 'pod-a',
  state: 'claimed',
  run: 'x',
  refused: '',
};

type Unanswered = Exclude<AskedOutcome, { readonly kind: 'answered' }>;

describe('when a person has asked for a run', () => {
  it.each<[TriggerAnswer['state'], RegExp]>([
    ['claimed', /^pod-a has claimed a run, and has not said that it has started it\. It may still/],
    ['started', /^pod-a has started a run$/],
    ['failed', /^pod-a has started a run$/],
    ['interrupted', /^pod-a claimed a run and recorded no end of it: .* or not at all$/],
  ])('says no more than is known of one that is %s', (state, words) => {
    expect(known({ ...answer, state })).toMatch(words);
  });

  it('says why it was claimed and not started, and that it never will be', () => {
    const error = notStarted('report', { ...answer, state: 'not-started', refused: 'too late' });
    expect(error.message).toMatch(
      /pod-a claimed a run and did not start it: too late\. It will not/,
    );
    expect(error.isTemporary).toBe(true);
  });

  it.each<[Unanswered, RegExp]>([
    [
      { kind: 'unresolved', notAfter: Date.UTC(2026, 0, 1) },
      /may have started, or may still start until 2026-01-01T00:00:00\.000Z by the clock of the leader/,
    ],
    [{ kind: 'taken-back' }, /within 1000 ms, and the request was taken back: none will start/],
    [
      { kind: 'overtaken', notAfter: Date.UTC(2026, 0, 1) },
      /answer there is that to another one\. A run may have started, .* 2026-01-01T00:00:00\.000Z/,
    ],
    [{ kind: 'busy' }, /This one was not asked for/],
    [{ kind: 'unknown' }, /record of the job has been removed/],
  ])('says whether it may still start if no leader has answered: %j', (outcome, words) => {
    const { message, isTemporary } = notAnswered('report', outcome, 1_000);
    expect(message).toMatch(words);
    expect(isTemporary).toBe(true);
  });
});
