import { describe, expect, it } from '@jest/globals';
import { judgeOnce } from './once-check.js';
import type { OnceKey } from './tick-replica-settings.js';
import { ToldEvents } from './told-events.js';

function ran(events: ToldEvents, key: OnceKey, version: number, name: string, at: number) {
  return events
    .once(at, name, { event: 'once-started', key, version })
    .once(at + 10, name, { event: 'once-ended', key, version })
    .once(at + 20, name, { event: 'once-told', key, version, result: 'ran' });
}

describe('when work that runs once per version is judged', () => {
  it('a version that ran in one replica and counts in the others is well', () => {
    const events = ran(new ToldEvents(), 'fail', 7, 'a', 100);
    events.once(130, 'b', { event: 'once-told', version: 7, result: 'succeeded' });
    const { totals, violations } = judgeOnce(events.history);
    expect(violations).toEqual([]);
    expect(totals.fail).toEqual({ versions: 1, interrupted: 0, rerun: 0 });
  });

  it.each(['fail', 'rerun'] as const)('a version of "%s" that ran again is a violation', (key) => {
    const events = ran(ran(new ToldEvents(), key, 7, 'a', 100), key, 7, 'b', 200);
    const { violations } = judgeOnce(events.history);
    expect(violations).toContain(`version 7 of what runs once (${key}) succeeded 2 times`);
    expect(violations).toContain(
      `version 7 of what runs once (${key}) ran again after it had succeeded`,
    );
  });

  it.each([
    { key: 'rerun' as const, found: [] },
    { key: 'fail' as const, found: ['version 7 of what runs once (fail) ran 2 times'] },
  ])('a run that was interrupted may run again only with "rerun" ($key)', ({ key, found }) => {
    const cut = new ToldEvents().once(100, 'a', { event: 'once-started', key, version: 7 });
    const { totals, violations } = judgeOnce(ran(cut, key, 7, 'b', 200).history);
    expect(violations).toEqual(found);
    expect(totals[key]).toEqual({ versions: 1, interrupted: 1, rerun: 1 });
  });
});
