import { execFileSync } from 'node:child_process';

interface Observed {
  readonly calls: Readonly<Record<string, number>>;
  readonly records: Readonly<Record<string, readonly string[]>>;
}

function observe(...args: string[]): Observed {
  const application = '.tools/test/e2e/support/observed-application.js';
  const output = execFileSync(process.execPath, [application, ...args], { encoding: 'utf8' });
  return JSON.parse(output) as Observed;
}

describe('When @nestjs/observe watches an application', () => {
  it('records each run on the leader once: of gated timers in both orders, and of @LeaderCron()', () => {
    const { calls, records } = observe();
    const kinds = Object.fromEntries(
      Object.entries(calls).map(([name, count]) => [
        name,
        Array<string>(count).fill(
          { claimed: 'cron completed', failing: 'cron failed' }[name] ?? 'interval completed',
        ),
      ]),
    );
    expect(Object.keys(calls).sort()).toEqual([
      'above',
      'below',
      'claimed',
      'everywhere',
      'failing',
      'gated',
    ]);
    expect(records).toEqual(kinds);
  });

  it('records nothing of the ticks that a follower skips', () => {
    const { calls, records } = observe('follower');
    expect(calls).toEqual({ everywhere: 3 });
    expect(records).toEqual({ everywhere: Array<string>(3).fill('interval completed') });
  });
});
