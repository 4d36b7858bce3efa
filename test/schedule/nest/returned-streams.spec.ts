import { Injectable } from '@nestjs/common';
import { concat, defer, finalize, NEVER, Observable, of, throwError } from 'rxjs';
import { LeaderOnly, OnGranted, OnRevoked } from '../../../lib/index.js';
import { LeaderCron, LeaderSchedule } from '../../../lib/schedule/index.js';
import { MINUTE_MS, ScheduledApplications } from '../support/scheduled-applications.js';

let elections: ScheduledApplications;
const seen: string[] = [];
let source: () => unknown;

@Injectable()
class Streams {
  @LeaderCron('* * * * *', { name: 'stream' })
  run(): unknown {
    return source();
  }

  @LeaderOnly()
  @LeaderCron(new Date('2100-01-01T00:00:00Z'), { name: 'gated' })
  gated(): unknown {
    return source();
  }

  @LeaderCron(new Date('2100-01-01T00:00:00Z'), { name: 'timed', timeoutMs: 5_000 })
  timed(): unknown {
    return source();
  }
}

beforeEach(() => {
  elections = new ScheduledApplications();
  seen.splice(0);
});
afterEach(() => elections.end());

const numbers = () =>
  new Observable<number>((subscriber) => {
    seen.push('subscribed');
    subscriber.next(1);
    subscriber.complete();
  }).pipe(finalize(() => seen.push('over')));

async function* generated(): AsyncGenerator<number> {
  seen.push('subscribed');
  try {
    yield await Promise.resolve(1);
  } finally {
    seen.push('over');
  }
}

const endless = () => {
  seen.push('subscribed');
  return concat(of(1), NEVER).pipe(finalize(() => seen.push('over')));
};

async function* ticking(): AsyncGenerator<number> {
  seen.push('subscribed');
  try {
    for (let each = 1; ; each += 1) {
      yield each;
      await new Promise<void>((resolve) => elections.clock.setTimer(resolve, 1_000));
    }
  } finally {
    seen.push('over');
  }
}

async function startedWith(what: () => unknown) {
  source = what;
  const application = await elections.started(Streams);
  return { application, schedule: application.get(LeaderSchedule) };
}

describe('when a job returns a stream', () => {
  it.each<[string, () => unknown]>([
    ['an Observable', numbers],
    ['an Observable, later', () => Promise.resolve(numbers())],
    ['an async generator', generated],
    ['an async generator, later', () => Promise.resolve(generated())],
  ])('runs %s to its end, once, and records a success', async (_what, stream) => {
    const { schedule } = await startedWith(stream);
    await elections.clock.advance(MINUTE_MS);
    expect(seen).toEqual(['subscribed', 'over']);
    expect((await schedule.inspect('stream')).lastSuccessfulTime).not.toBeNull();
  });

  it('records a failure of the stream as one of the run', async () => {
    const { schedule } = await startedWith(() =>
      concat(
        of(1),
        throwError(() => new Error('the source broke')),
      ),
    );
    await elections.clock.advance(MINUTE_MS);
    expect((await schedule.inspect('stream')).lastFailed?.reason).toMatch('the source broke');
  });

  it.each<[string, () => unknown]>([
    ['an Observable', () => defer(endless)],
    ['an async generator', ticking],
  ])(
    'is active while %s lasts, and leaves it as a failure when the term ends',
    async (...given) => {
      const [, stream] = given;
      const { application, schedule } = await startedWith(stream);
      await elections.clock.advance(MINUTE_MS);
      expect((await schedule.inspect('stream')).active).toHaveLength(1);
      expect(seen).toEqual(['subscribed']);
      application.leadership().stepDown({ cooldownMs: 0 });
      await elections.clock.advance(3_000);
      expect(seen).toEqual(['subscribed', 'over']);
      const { active, lastFailed } = await schedule.inspect('stream');
      expect(active).toEqual([]);
      expect(lastFailed?.reason).toMatch(/stepped-down/);
    },
  );

  it('leaves it when its time is over', async () => {
    const { schedule } = await startedWith(() => defer(endless));
    const run = schedule.trigger('timed');
    await elections.clock.advance(5_000);
    await run.catch(() => {});
    expect(seen).toEqual(['subscribed', 'over']);
    expect((await schedule.inspect('timed')).lastFailed?.reason).toMatch(/5000 ms|timeoutMs/);
  });

  it('runs it once where the method is gated as well', async () => {
    const { schedule } = await startedWith(numbers);
    const run = schedule.trigger('gated');
    await elections.clock.advance(1_000);
    await run;
    expect(seen).toEqual(['subscribed', 'over']);
  });

  it('fails and says why where it is a generator that nobody iterates', async () => {
    const { schedule } = await startedWith(function* () {
      seen.push('ran');
      yield 1;
    });
    await elections.clock.advance(MINUTE_MS);
    expect(seen).toEqual([]);
    expect((await schedule.inspect('stream')).lastFailed?.reason).toMatch(/make it async/);
  });
});

describe('when a handler of leadership returns a stream', () => {
  it('is run to its end, or to the end of the term', async () => {
    @Injectable()
    class Handlers {
      @OnGranted()
      granted(): unknown {
        return defer(endless);
      }

      @OnRevoked()
      revoked(): unknown {
        return generated();
      }
    }
    const application = await elections.started(Handlers);
    expect(seen).toEqual(['subscribed']);
    application.leadership().stepDown({ cooldownMs: 60_000 });
    await elections.clock.settle();
    expect(seen).toEqual(['subscribed', 'over', 'subscribed', 'over']);
    expect(application.leadership().leader).toBeUndefined();
  });
});
