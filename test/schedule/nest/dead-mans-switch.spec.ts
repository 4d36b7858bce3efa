import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../proof/api-emulator/eventually.js';
import { LeaderSchedule } from '../../../lib/schedule/index.js';
import { DeadMansSwitch } from '../support/dead-mans-switch.js';
import { MINUTE_MS, ScheduledApplications } from '../support/scheduled-applications.js';

const JOB = 'close-day';
let elections: ScheduledApplications;
let monitor: Server;
let asked: string[];
let answer: (response: ServerResponse) => void;

beforeEach(async () => {
  elections = new ScheduledApplications();
  asked = [];
  answer = (response) => void response.end();
  monitor = createServer(({ method, url }, response) => {
    asked.push(`${method} ${url}`);
    answer(response);
  });
  await new Promise<void>((resolve) => monitor.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await elections.end();
  monitor.closeAllConnections();
  monitor.close();
});

/** A replica with the job, and the switch as the page of the documentation has it. */
async function replica(handler: () => unknown) {
  const { port } = monitor.address() as AddressInfo;
  const application = await elections.started({
    provide: DeadMansSwitch,
    inject: [LeaderSchedule],
    useFactory: (schedule: LeaderSchedule) =>
      new DeadMansSwitch(schedule, { [JOB]: `http://127.0.0.1:${port}/ping/${JOB}` }),
  });
  const schedule = application.get(LeaderSchedule);
  schedule.add(JOB, '* * * * *', handler);
  schedule.add('without a url', '* * * * *', () => undefined);
  return application;
}

describe('when a monitor waits to be pinged after each success of a job', () => {
  it('is pinged by the replica that ran it, and by no other', async () => {
    await replica(() => undefined);
    await replica(() => undefined);
    await elections.clock.advance(2 * MINUTE_MS);
    await eventually(() => expect(asked.length).toBeGreaterThanOrEqual(2));
    expect(asked).toEqual([`POST /ping/${JOB}`, `POST /ping/${JOB}`]);
  });

  it('is not pinged after a run that failed', async () => {
    let runs = 0;
    await replica(() => {
      runs += 1;
      if (runs === 1) throw new Error('no paper');
    });
    await elections.clock.advance(2 * MINUTE_MS);
    await eventually(() => expect(asked.length).toBeGreaterThanOrEqual(1));
    expect(runs).toBe(2);
    expect(asked).toHaveLength(1);
  });

  it('does not keep the job from running when it refuses or is gone', async () => {
    answer = (response) => void response.writeHead(500).end();
    let runs = 0;
    await replica(() => void (runs += 1));
    await elections.clock.advance(MINUTE_MS);
    await eventually(() => expect(asked).toHaveLength(1));
    monitor.closeAllConnections();
    monitor.close();
    await elections.clock.advance(MINUTE_MS);
    expect(runs).toBe(2);
  });

  it('has heard of the last success before the application has shut down', async () => {
    let release!: () => void;
    answer = (response) => void (release = () => void response.end());
    const application = await replica(() => undefined);
    await elections.clock.advance(MINUTE_MS);
    let isClosed = false;
    const closed = application.close().then(() => (isClosed = true));
    await eventually(() => expect(asked).toHaveLength(1));
    await elections.clock.advance(MINUTE_MS);
    expect(isClosed).toBe(false);
    release();
    await closed;
    expect(isClosed).toBe(true);
  });
});

describe('when docs/scheduling.md shows the recipe', () => {
  const squeezed = (code: string): string => code.replace(/\s+/g, '');

  it('shows the class that is run here', () => {
    const code = readFileSync('test/schedule/support/dead-mans-switch.ts', 'utf8');
    const recipe = code.slice(code.indexOf('export class DeadMansSwitch'));
    expect(squeezed(readFileSync('docs/scheduling.md', 'utf8'))).toContain(squeezed(recipe));
  });
});
