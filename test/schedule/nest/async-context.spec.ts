import 'reflect-metadata';
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LeaderSchedule } from '../../../lib/schedule/index.js';
import { MINUTE_MS, ScheduledApplications } from '../support/scheduled-applications.js';

let elections: ScheduledApplications;

beforeEach(() => {
  elections = new ScheduledApplications();
  // As those of Node.js do: each timer carries the context in which it was set.
  const { clock } = elections;
  const set = clock.setTimer.bind(clock);
  clock.setTimer = (callback, delayMs) => set(AsyncResource.bind(callback), delayMs);
});
afterEach(() => elections.end());

/** An application, and what the handlers of its jobs see of a request. */
async function withRequests() {
  const requests = new AsyncLocalStorage<string>();
  const application = await elections.started();
  const schedule = application.get(LeaderSchedule);
  const seen: unknown[] = [];
  const look = (): void => void seen.push(requests.getStore() ?? 'none');
  /** As a controller would be called, behind nestjs-cls or OpenTelemetry. */
  const request = <T>(call: (schedule: LeaderSchedule) => T): T =>
    requests.run('a request', () => call(schedule));
  return { request, look, seen, schedule };
}

describe('when a request uses the schedule', () => {
  it('leaves nothing of it to a run that it triggers, and to no later tick', async () => {
    const { request, look, seen, schedule } = await withRequests();
    schedule.add('job', '* * * * *', look);
    await request((used) => used.trigger('job'));
    await elections.clock.advance(2 * MINUTE_MS);
    expect(seen).toEqual(['none', 'none', 'none']);
  });

  it('leaves nothing of it to a job that it adds', async () => {
    const { request, look, seen } = await withRequests();
    request((used) => used.add('job', '* * * * *', look));
    await elections.clock.advance(2 * MINUTE_MS);
    expect(seen).toEqual(['none', 'none']);
  });

  it('leaves nothing of it to the tick and the report of a job that it resumes', async () => {
    const { request, look, seen, schedule } = await withRequests();
    const options = { suspend: true, startingDeadlineSeconds: 60, onMissed: look };
    schedule.add('job', '* * * * *', look, options);
    await elections.clock.advance(1_000);
    await request((used) => used.resume('job'));
    await elections.clock.settle();
    await request((used) => used.suspend('job'));
    await elections.clock.advance(2 * MINUTE_MS);
    await request((used) => used.resume('job'));
    await elections.clock.advance(MINUTE_MS);
    expect(seen).toEqual(['none', 'none', 'none']);
  });

  it('leaves nothing of it to a tick that has waited for a run that it triggers', async () => {
    const { request, look, seen, schedule } = await withRequests();
    let finish!: () => void;
    const handler = (): Promise<void> => {
      look();
      return new Promise((resolve) => (finish = resolve));
    };
    schedule.add('job', '* * * * *', handler, { startingDeadlineSeconds: 60 });
    await elections.clock.advance(MINUTE_MS - 1_000);
    const triggered = request((used) => used.trigger('job'));
    await elections.clock.advance(2_000);
    request(finish);
    await triggered;
    await elections.clock.advance(1_000);
    expect(seen).toEqual(['none', 'none']);
    finish();
  });
});

describe('when the application is made in a context, such as a span of OpenTelemetry', () => {
  it('leaves nothing of it to the ticks of a job', async () => {
    const span = new AsyncLocalStorage<string>();
    const application = await span.run('a span', () => elections.create(elections.metadata([])));
    await application.init();
    const seen: string[] = [];
    const look = (): void => void seen.push(span.getStore() ?? 'none');
    application.get(LeaderSchedule).add('job', '* * * * *', look);
    await elections.clock.advance(2 * MINUTE_MS);
    expect(seen).toEqual(['none', 'none']);
  });
});
