import { Controller, Get, Injectable, type ModuleMetadata } from '@nestjs/common';
import { Interval, ScheduleModule } from '@nestjs/schedule';
import { type Observable, Subject } from 'rxjs';
import {
  currentTerm,
  EveryReplica,
  LeaderElectionOptionsError,
  type LeaderElectionModuleOptions,
  LeaderOnly,
  OnGranted,
} from '../../lib/index.js';
import { LeaderCron, LeaderScheduleModule } from '../../lib/schedule/index.js';
import { Elections, ROLE } from './support/elections.js';
import { RecordedLog } from './support/recorded-log.js';
import { until } from './support/until.js';

@Injectable()
class Jobs {
  readonly ran: string[] = [];

  @Interval(10)
  timer(): void {
    this.ran.push('timer');
  }

  @Interval(10)
  @LeaderOnly()
  marked(): void {
    this.ran.push('marked');
  }

  @Interval(10)
  @EveryReplica()
  everywhere(): void {
    this.ran.push('everywhere');
  }

  @LeaderOnly({ onFollower: 'throw' })
  strict(): unknown {
    return ['ran', currentTerm()];
  }

  @OnGranted()
  granted(): void {
    this.ran.push('granted');
  }

  @LeaderCron('* * * * * *', { name: 'claimed' })
  claimed(): void {
    this.ran.push('claimed');
  }
}

@Controller('answer')
class Answer {
  @LeaderOnly()
  @Get()
  get(): string {
    return 'answered';
  }
}

/** What a method returns, and what it may still do after that. */
@Injectable()
class Returning {
  readonly source = new Subject<string>();
  readonly observable = this.source.asObservable();
  thens = 0;
  readonly returned = [this.observable, numbers(), this.lazy(), this.observable] as const;

  @LeaderOnly()
  stream(): Observable<string> {
    return this.returned[0];
  }

  @LeaderOnly()
  lines(): AsyncGenerator<number> {
    return this.returned[1];
  }

  @LeaderOnly()
  query(): unknown {
    return this.returned[2];
  }

  @LeaderOnly()
  long(): Promise<void> {
    return new Promise(() => {});
  }

  private lazy(): object {
    // oxlint-disable-next-line unicorn/no-thenable -- that is what this is about
    return { then: () => void (this.thens += 1) };
  }
}

async function* numbers(): AsyncGenerator<number> {
  yield 1;
  yield 2;
}

@Controller()
class Rates {
  source = new Subject<string>();

  @LeaderOnly()
  @Get('rates')
  rates(): Observable<string> {
    return this.source;
  }

  end(): void {
    const { source } = this;
    this.source = new Subject();
    source.next('all');
    source.complete();
  }
}

async function startReturning() {
  const app = await elections.leading([Returning], { mode: 'shadow' });
  return { app, work: app.get(Returning) };
}

let elections: Elections;
beforeEach(() => (elections = new Elections()));
afterEach(() => elections.end());

const SHADOW: Partial<LeaderElectionModuleOptions> = { gateSchedules: true, mode: 'shadow' };

async function start(options: Partial<LeaderElectionModuleOptions> = SHADOW) {
  const log = new RecordedLog();
  const app = await elections.create({
    imports: [ScheduleModule.forRoot(), elections.module(options), LeaderScheduleModule],
    providers: [Jobs],
    controllers: [Answer],
  });
  app.useLogger(log);
  await app.init();
  await elections.clock.settle();
  return { app, log, jobs: app.get(Jobs), leadership: app.leadership() };
}

describe("When a role has mode: 'shadow'", () => {
  it('runs on a follower what gates would have skipped or refused, and counts each', async () => {
    await elections.leadingRival('pod-b');
    const { app, jobs, leadership } = await start();
    await until(() => jobs.ran.length > 20);
    expect(jobs.strict()).toEqual(['ran', undefined]);
    expect(app.get(Answer).get()).toBe('answered');
    expect(
      leadership.guard(function clean() {
        return 'cleaned';
      })(),
    ).toBe('cleaned');
    const counts = leadership.shadowSkips;
    expect(Object.fromEntries(counts)).toEqual({
      'Answer.get': 1,
      'guard(clean)': 1,
      'Jobs.marked': jobs.ran.filter((name) => name === 'marked').length,
      'Jobs.strict': 1,
      'Jobs.timer': jobs.ran.filter((name) => name === 'timer').length,
    });
    jobs.strict();
    expect(counts.get('Jobs.strict')).toBe(1);
  });

  it('tells the truth about who leads, calls handlers and claims ticks as ever', async () => {
    const rival = await elections.leadingRival('pod-b');
    const { jobs, leadership } = await start();
    await elections.clock.advance(2_000);
    expect([leadership.isLeader(), leadership.leader]).toEqual([false, 'pod-b']);
    expect(leadership.runIfLeader(() => 'ran')).toBeUndefined();
    expect(() => leadership.assertLeader()).toThrow(/runs only on the leader/);
    expect(jobs.ran.filter((name) => name === 'granted' || name === 'claimed')).toEqual([]);
    rival.suspend();
    await elections.clock.advance(30_000);
    await until(() => jobs.ran.includes('granted') && jobs.ran.includes('claimed'));
    expect(leadership.isLeader()).toBe(true);
  });

  it('counts nothing on the leader, whose gated calls have their term', async () => {
    const { jobs, leadership } = await start();
    await until(() => jobs.ran.length > 20);
    expect(jobs.strict()).toEqual(['ran', leadership.term]);
    expect([...leadership.shadowSkips]).toEqual([]);
  });

  it('gives the caller on the leader what the method returned itself, and lets it outlast the term', async () => {
    const { app, work } = await startReturning();
    const leadership = app.leadership();
    const guarded = leadership.guard(() => work.observable)();
    const own = [work.stream(), work.lines(), work.query(), guarded];
    expect(own.map((result, index) => result === work.returned[index])).toEqual(
      Array(4).fill(true),
    );
    expect(work.thens).toBe(0);
    const [stream, lines] = [work.stream(), work.lines()];
    const heard: unknown[] = [];
    stream.subscribe({ next: (each) => heard.push(each), complete: () => heard.push('end') });
    const first = await lines.next();
    leadership.stepDown({ cooldownMs: 600_000 });
    await elections.clock.settle();
    expect(leadership.isLeader()).toBe(false);
    work.source.next('after the term');
    expect(heard).toEqual(['after the term']);
    expect([first, await lines.next()].map(({ value }) => value as unknown)).toEqual([1, 2]);
    expect([...leadership.shadowSkips]).toEqual([]);
  });

  it('releases the lease without waiting for what a method has begun', async () => {
    const { app, work } = await startReturning();
    const rival = elections.rival('pod-b');
    rival.start();
    void work.long();
    app.leadership().stepDown({ cooldownMs: 600_000 });
    await elections.clock.advance(5_000);
    expect(rival.isLeader()).toBe(true);
  });

  it('answers a request of the leader whose term ends, as a follower does', async () => {
    const app = await elections.create({
      imports: [elections.module({ mode: 'shadow' })],
      controllers: [Rates],
    });
    await app.listen(0, '127.0.0.1');
    await elections.clock.settle();
    const rates = app.get(Rates);
    const ask = async () => {
      const answer = await fetch(`${await app.getUrl()}/rates`);
      return answer.text();
    };
    const leading = ask();
    await until(() => rates.source.observed);
    app.leadership().stepDown({ cooldownMs: 600_000 });
    await elections.clock.settle();
    rates.end();
    expect(await leading).toBe('all');
    const following = ask();
    await until(() => rates.source.observed);
    rates.end();
    expect(await following).toBe('all');
  });

  it('says so at the start, each first skip and each tenth power, and all at the end', async () => {
    await elections.leadingRival('pod-b');
    const { app, jobs, log } = await start();
    for (let calls = 0; calls < 150; calls += 1) jobs.strict();
    await until(() => jobs.ran.includes('timer'));
    const closing = app.close();
    await elections.clock.advance(30_000);
    await closing;
    expect(log.texts('warn').join()).toMatch(
      /has mode: 'shadow': it elects a leader and gates nothing/,
    );
    const told = log.texts('log');
    expect(told.filter((text) => text.includes('skipped Jobs.strict'))).toEqual([
      "would have skipped Jobs.strict, as pod-b leads (mode: 'shadow')",
      "would have skipped Jobs.strict, as pod-b leads (mode: 'shadow'), 10 times so far",
      "would have skipped Jobs.strict, as pod-b leads (mode: 'shadow'), 100 times so far",
    ]);
    expect(told.filter((text) => text.startsWith('would gate the timers'))).toHaveLength(1);
    expect(told.at(-1) ?? '').toMatch(/Jobs\.strict \(150\)/);
  });
});

describe("When a role has mode: 'enforce' or none", () => {
  it.each([{}, { mode: 'enforce' as const }])('gates, and counts nothing: %j', async (mode) => {
    await elections.leadingRival('pod-b');
    const { jobs, leadership } = await start({ gateSchedules: true, ...mode });
    await until(() => jobs.ran.length > 5);
    expect(new Set(jobs.ran)).toEqual(new Set(['everywhere']));
    expect([...leadership.shadowSkips]).toEqual([]);
  });
});

describe('When the mode makes no sense', () => {
  it.each<[string, Partial<LeaderElectionModuleOptions>, ModuleMetadata['providers'], RegExp]>([
    [
      'an unknown one',
      { mode: 'dry-run' as never, gateSchedules: true },
      [],
      /mode = "dry-run": must be "enforce" or "shadow"/,
    ],
    [
      'a shadow of nothing',
      { mode: 'shadow' },
      [],
      /mode of role "plan-scheduler" = "shadow": needs gates whose effect it can show/,
    ],
  ])('does not start with %s', async (_what, options, providers, text) => {
    const starting = elections.start({ imports: [elections.module(options)], providers });
    await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
    await expect(starting).rejects.toThrow(text);
  });

  it('starts with @LeaderOnly() alone', async () => {
    @Injectable()
    class Gated {
      @LeaderOnly(ROLE)
      run(): void {}
    }
    const app = await elections.leading([Gated], { mode: 'shadow' });
    expect(app.leadership().isLeader()).toBe(true);
  });
});
