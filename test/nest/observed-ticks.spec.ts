import { Injectable, type Type } from '@nestjs/common';
import { Interval, ScheduleModule } from '@nestjs/schedule';
import { type Span, trace, type Tracer } from '@opentelemetry/api';
import { LeaderOnly } from '../../lib/index.js';
import { LeaderCron, LeaderSchedule, LeaderScheduleModule } from '../../lib/schedule/index.js';
import { Elections } from './support/elections.js';
import { RecordedLog } from './support/recorded-log.js';
import { until } from './support/until.js';

/** The spans that a tracer of OpenTelemetry was asked for, by name, with whether each has ended. */
class Spans {
  readonly ended = new Map<string, boolean[]>();

  readonly tracer = {
    startActiveSpan: (name: string, run: (span: Span) => unknown) => {
      const spans = this.ended.get(name) ?? [];
      this.ended.set(name, spans);
      const index = spans.push(false) - 1;
      return run({ end: () => void (spans[index] = true) } as Span);
    },
  } as unknown as Tracer;
}

/** A hand-made span around a method. It replaces the function and keeps its metadata, as @SentryCron() does too. */
function Traced(name: string): MethodDecorator {
  return (_target, _key, descriptor: PropertyDescriptor) => {
    const original = descriptor.value as (...args: unknown[]) => unknown;
    descriptor.value = function traced(this: unknown, ...args: unknown[]): unknown {
      return trace.getTracer('test').startActiveSpan(name, async (span) => {
        try {
          return await original.apply(this, args);
        } finally {
          span.end();
        }
      });
    };
    for (const key of Reflect.getMetadataKeys(original) as unknown[]) {
      Reflect.defineMetadata(key, Reflect.getMetadata(key, original), descriptor.value as object);
    }
  };
}

const ORDERS: string[][] = [
  ['timer', 'gate', 'span'],
  ['timer', 'span', 'gate'],
  ['gate', 'timer', 'span'],
  ['gate', 'span', 'timer'],
  ['span', 'timer', 'gate'],
  ['span', 'gate', 'timer'],
  ['timer', 'span'],
  ['span', 'timer'],
];

/** A class of one method that counts its runs and is decorated in this order, the first one on top. */
function jobOf(order: readonly string[], timer: MethodDecorator): Type<{ runs: number }> {
  class Job {
    runs = 0;
    async run(): Promise<void> {
      await Promise.resolve();
      this.runs += 1;
    }
  }
  const decorators: Record<string, MethodDecorator> = {
    timer,
    gate: LeaderOnly(),
    span: Traced('run'),
  };
  const descriptor = Object.getOwnPropertyDescriptor(Job.prototype, 'run')!;
  for (const name of [...order].reverse()) decorators[name]!(Job.prototype, 'run', descriptor);
  Object.defineProperty(Job.prototype, 'run', descriptor);
  Injectable()(Job);
  return Job;
}

let elections: Elections;
let spans: Spans;
beforeEach(() => {
  elections = new Elections();
  spans = new Spans();
  trace.setGlobalTracerProvider({ getTracer: () => spans.tracer });
});
afterEach(async () => {
  trace.disable();
  await elections.end();
});

const start = async (job: Type<object>, gateSchedules: boolean) => {
  const app = await elections.start({
    imports: [ScheduleModule.forRoot(), elections.module({ gateSchedules }), LeaderScheduleModule],
    providers: [job],
  });
  await elections.clock.settle();
  return app;
};

describe.each(ORDERS.map((order) => [order.join(', '), order] as const))(
  'When a timer is decorated in the order %s',
  (_shown, order) => {
    const job = jobOf(order, Interval(10));
    const gateSchedules = !order.includes('gate');

    it('makes each run of the leader one span', async () => {
      const app = await start(job, gateSchedules);
      await until(() => (app.get(job) as { runs: number }).runs > 2);
      await app.close();
      const ended = spans.ended.get('run')!;
      expect(ended).toHaveLength((app.get(job) as { runs: number }).runs);
      expect(ended.every(Boolean)).toBe(true);
    });

    it('makes a tick that a follower skips none', async () => {
      await elections.leadingRival('pod-b');
      const app = await start(job, gateSchedules);
      let skipped = 0;
      const leadership = app.leadership();
      const isLeader = leadership.isLeader.bind(leadership);
      leadership.isLeader = () => {
        skipped += 1;
        return isLeader();
      };
      await until(() => skipped > 5);
      expect([...spans.ended]).toEqual([]);
    });
  },
);

describe('When @LeaderCron() and a span are on one method', () => {
  it.each([[['timer', 'span']], [['span', 'timer']]])(
    'shows its runs in the order %s',
    async (order) => {
      const job = jobOf(order, LeaderCron('* * * * * *', { name: 'claimed' }));
      const app = await start(job, false);
      await elections.clock.advance(3_000);
      await until(() => (app.get(job) as { runs: number }).runs > 1);
      const closing = app.close();
      await elections.clock.advance(1_000);
      await closing;
      expect(spans.ended.get('run')).toHaveLength((app.get(job) as { runs: number }).runs);
    },
  );
});

describe('When the application itself calls a method on a follower', () => {
  it.each([
    ['none', ['gate', 'span'], 0],
    ['one', ['span', 'gate'], 1],
  ])('makes that %s span in the order %j', async (_many, order, count) => {
    const job = jobOf(order, Interval(10));
    await elections.leadingRival('pod-b');
    const app = await start(job, false);
    await (app.get(job) as { run(): Promise<void> } & object).run();
    expect(spans.ended.get('run') ?? []).toHaveLength(count);
    expect(app.get(job)).toMatchObject({ runs: 0 });
  });
});

describe('When what follows the runs of @nestjs/schedule hangs', () => {
  type Run = () => Promise<void>;
  const never = new Promise<void>(() => {});

  /** As the explorer of @nestjs/schedule, with an APM around each run. */
  class Followed {
    constructor(private readonly around: (run: Run) => Promise<void>) {}

    lookupSchedulers(): void {}

    wrapFunctionInTryCatchBlocks(run: Run): Run {
      return () => this.around(run);
    }
  }

  async function runsUnder(around: (run: Run) => Promise<void>, options = {}) {
    const log = new RecordedLog();
    const app = await elections.create({
      imports: [elections.module(), LeaderScheduleModule],
      providers: [{ provide: Followed, useValue: new Followed(around) }],
    });
    app.useLogger(log);
    await app.init();
    await elections.clock.settle();
    const schedule = app.get(LeaderSchedule);
    let runs = 0;
    schedule.add('job', '* * * * * *', () => void (runs += 1), options);
    await elections.clock.advance(20_500);
    return { runs, log, status: await schedule.inspect('job') };
  }

  it('ends a run of @LeaderCron() with its handler, and starts the next ones', async () => {
    const { runs, status } = await runsUnder(async (run) => {
      await run();
      await never;
    });
    expect(runs).toBe(20);
    expect(status).toMatchObject({ missedCount: 0, active: [] });
  });

  it('calls the handler of @LeaderCron() without it after some seconds, once, and says so', async () => {
    const late: Run[] = [];
    const { runs, log } = await runsUnder((run) => {
      late.push(run);
      return never;
    });
    await Promise.all(late.map((run) => run()));
    expect(runs).toBe(late.length - 1);
    expect(runs).toBeGreaterThanOrEqual(3);
    expect(log.texts('warn').join()).toMatch(
      /what follows the runs of @nestjs\/schedule has not called job within 5000 ms/,
    );
  });

  it('does not call a handler whose signal was aborted meanwhile, and the run fails', async () => {
    const { runs, status } = await runsUnder(() => never, { timeoutMs: 1_000 });
    expect(runs).toBe(0);
    expect(status.lastFailed?.reason).toMatch(/longer than 1000 ms/);
  });
});
