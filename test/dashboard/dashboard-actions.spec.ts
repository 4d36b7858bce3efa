import type { AddressInfo } from 'node:net';
import { type CanActivate, type NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ScheduleModule } from '@nestjs/schedule';
import { actionFault } from '../../lib/dashboard/dashboard-actions.js';
import type { ActionResult } from '../../lib/dashboard/dashboard-view.js';
import { LeaderDashboardModule } from '../../lib/dashboard/index.js';
import {
  LeaderCron,
  type LeaderCronContext,
  LeaderScheduleModule,
} from '../../lib/schedule/index.js';
import { ROLE } from '../nest/support/elections.js';
import { ScheduledApplications } from '../schedule/support/scheduled-applications.js';
import { Audience } from './support/viewer.js';

const HEADERS = {
  'content-type': 'application/json',
  'x-leader-dashboard': '1',
  'sec-fetch-site': 'same-origin',
};

class Open implements CanActivate {
  isOpen = true;
  canActivate(): boolean {
    return this.isOpen;
  }
}

/** A job that runs until it is asked to end. */
class Report {
  readonly runs: LeaderCronContext[] = [];

  @LeaderCron('0 0 1 1 *', { name: 'report' })
  async make(context: LeaderCronContext): Promise<void> {
    this.runs.push(context);
    if (context.signal.aborted) return;
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
  }
}

interface Answer extends ActionResult {
  readonly status: number;
}

describe.each([
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
])('the actions of the dashboard with %s', (_platform, adapter) => {
  let elections: ScheduledApplications;
  let audience: Audience;
  beforeEach(() => {
    elections = new ScheduledApplications();
    audience = new Audience();
  });
  afterEach(async () => {
    audience.leave();
    await elections.end();
  });

  const guard = new Open();
  const serving = async (options: NestApplicationOptions = {}) => {
    const app = await elections.create(
      {
        imports: [
          ScheduleModule.forRoot(),
          elections.module({ members: true }),
          LeaderScheduleModule,
          LeaderDashboardModule.forRoot({ guards: [guard], actions: true }),
        ],
        providers: [Report],
      },
      adapter() as never,
      options,
    );
    await app.listen(0, '127.0.0.1');
    await elections.clock.settle();
    const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
    return { app, url: `http://127.0.0.1:${port}` };
  };

  const post = async (
    url: string,
    body: object,
    headers: Record<string, string> = HEADERS,
  ): Promise<Answer> => {
    const request = { method: 'POST', headers, body: JSON.stringify(body) };
    const answer = await fetch(`${url}/leader/actions`, request);
    return { status: answer.status, ...((await answer.json()) as ActionResult) };
  };

  /** Leaders hear and work meanwhile. */
  const acting = async (url: string, body: object): Promise<Answer> => {
    let answer: Answer | undefined;
    void post(url, body).then((given) => (answer = given));
    await elections.advanceUntil(() => answer !== undefined);
    return answer!;
  };

  /** A leader, and a follower whose dashboard is asked. */
  const fleet = async () => {
    const [leader, follower] = [await serving(), await serving()];
    const viewer = await audience.watching(`${follower.url}/leader/stream`);
    return { leader, follower, viewer };
  };
  const reports = ({ app }: Awaited<ReturnType<typeof serving>>): LeaderCronContext[] =>
    app.get(Report).runs;

  describe('when they are asked of a follower', () => {
    it('hands over to the replica that was named', async () => {
      const { leader, follower, viewer } = await fleet();
      expect(viewer.hello.hasActions).toBe(true);
      const to = follower.app.leadership().identity;
      const answer = await acting(follower.url, { action: 'step-down', role: ROLE, to });
      expect(answer).toMatchObject({ status: 200, isDone: true });
      expect(answer.message).toMatch(/has stepped down \(term 1\)\. .* leads now\./);
      expect(leader.app.leadership().isLeader()).toBe(false);
      expect(follower.app.leadership().isLeader()).toBe(true);
    });

    it('says why the leader refuses', async () => {
      const { follower } = await fleet();
      const answer = await acting(follower.url, { action: 'step-down', role: ROLE, to: 'pod-x' });
      expect(answer).toMatchObject({ status: 409, isDone: false });
      expect(answer.message).toContain('refused: ');
    });

    it('starts a run on the leader, shows it, and cancels it', async () => {
      const { leader, follower, viewer } = await fleet();
      const job = { role: ROLE, job: 'report' };
      const started = await acting(follower.url, { action: 'trigger', ...job });
      expect(started).toMatchObject({ status: 200, isDone: true });
      expect(started.message).toMatch(/^Job report: .* has started a run\.$/);
      expect([reports(leader).length, reports(follower).length]).toEqual([1, 0]);
      await elections.advanceUntil(() => viewer.job(ROLE, 'report')?.active.length === 1);
      expect(viewer.job(ROLE, 'report')!.active).toMatchObject([{ isTriggered: true }]);
      const cancelled = await acting(follower.url, {
        action: 'cancel',
        reason: 'too slow',
        ...job,
      });
      expect(cancelled).toMatchObject({
        status: 200,
        isDone: true,
        message: 'The run of job report was cancelled, and has ended.',
      });
      await elections.advanceUntil(() => viewer.job(ROLE, 'report')?.history.length === 1);
      expect(viewer.job(ROLE, 'report')!.history).toMatchObject([{ outcome: 'cancelled' }]);
    });

    it('suspends a job with a reason, and resumes it', async () => {
      const { follower, viewer } = await fleet();
      const job = { role: ROLE, job: 'report' };
      const suspended = await acting(follower.url, {
        action: 'suspend',
        reason: 'it moves',
        ...job,
      });
      expect(suspended).toMatchObject({ status: 200, isDone: true });
      await elections.advanceUntil(() => viewer.job(ROLE, 'report')?.state === 'suspended');
      expect(viewer.job(ROLE, 'report')!.suspension).toMatchObject({
        by: expect.stringMatching(/^dashboard@/),
        reason: 'it moves',
      });
      expect(viewer.told(ROLE).at(-1)).toMatch(/was suspended by dashboard@.*: it moves/);
      const resumed = await acting(follower.url, { action: 'resume', ...job });
      expect(resumed).toMatchObject({ status: 200, message: 'Job report is scheduled again.' });
      await elections.advanceUntil(() => viewer.job(ROLE, 'report')?.state === 'scheduled');
    });
  });

  describe('when they cannot be done', () => {
    it.each([
      [{ action: 'trigger', role: 'mail', job: 'report' }, 404, 'no role "mail"'],
      [{ action: 'trigger', role: ROLE, job: 'mail' }, 409, 'has recorded no job mail'],
      [{ action: 'cancel', role: ROLE, job: 'report', reason: '' }, 409, 'No run of job report'],
      [{ action: 'reboot', role: ROLE }, 400, 'action: must be one of'],
    ])('says why: %j', async (body, status, message) => {
      const { url } = await serving();
      const answer = await acting(url, body);
      expect(answer).toMatchObject({ status, isDone: false });
      expect(answer.message).toContain(message);
    });
  });

  describe('when they do not come from its page', () => {
    it.each([
      [{ ...HEADERS, 'sec-fetch-site': 'cross-site' }],
      [{ ...HEADERS, 'content-type': 'text/plain' }],
      [{ 'content-type': 'application/json', 'sec-fetch-site': 'same-origin' }],
      [{ 'content-type': 'application/json', 'x-leader-dashboard': '1' }],
    ])('refuses them: %j', async (headers) => {
      const { app, url } = await serving();
      const answer = await post(url, { action: 'step-down', role: ROLE }, headers as never);
      expect(answer).toMatchObject({ status: 403, isDone: false });
      await elections.clock.advance(5_000);
      expect(app.leadership().isLeader()).toBe(true);
    });

    it('asks the guard as well', async () => {
      const { url } = await serving();
      guard.isOpen = false;
      const answer = await post(url, { action: 'step-down', role: ROLE });
      guard.isOpen = true;
      expect(answer.status).toBe(403);
    });
  });

  describe('when the application reads bodies in its own way', () => {
    it.each<[string, NestApplicationOptions]>([
      ['not at all', { bodyParser: false }],
      ['and keeps them as they came', { rawBody: true }],
    ])('reads them: %s', async (_what, options) => {
      const { url } = await serving(options);
      const answer = await acting(url, { action: 'cancel', role: ROLE, job: 'report', reason: '' });
      expect(answer).toMatchObject({ status: 409, message: 'No run of job report is active.' });
    });
  });

  describe('when the application closes meanwhile', () => {
    it('answers at once that it is not known', async () => {
      const { app, url } = await serving();
      const asked = post(url, { action: 'step-down', role: ROLE });
      await elections.advanceUntil(() => !app.leadership().isLeader());
      let isClosed = false;
      void app.close().then(() => (isClosed = true));
      await elections.advanceUntil(() => isClosed);
      expect(await asked).toMatchObject({
        status: 503,
        isDone: false,
        message: expect.stringContaining('it is not known whether it was done'),
      });
    });
  });
});

describe('what is sent as an action', () => {
  it.each([
    [{ action: 'step-down', role: 'plans' }],
    [{ action: 'step-down', role: 'plans', to: 'pod-a' }],
    [{ action: 'trigger', role: 'plans', job: 'close' }],
    [{ action: 'suspend', role: 'plans', job: 'close', reason: '' }],
  ])('is one: %j', (value) => {
    expect(actionFault(value)).toBeUndefined();
  });

  it.each([
    [undefined, 'object'],
    ['step-down', 'object'],
    [[], 'object'],
    [{ role: 'plans' }, 'action'],
    [{ action: 'constructor', role: 'plans' }, 'action'],
    [{ action: 'step-down' }, 'role'],
    [{ action: 'step-down', role: 7 }, 'role'],
    [{ action: 'step-down', role: 'plans', to: 'a\nb' }, 'to'],
    [{ action: 'step-down', role: 'plans', job: 'close' }, 'job'],
    [{ action: 'trigger', role: 'plans' }, 'job'],
    [{ action: 'trigger', role: 'plans', job: 'x'.repeat(254) }, 'job'],
    [{ action: 'trigger', role: 'plans', job: 'close', reason: 'x' }, 'reason'],
    [{ action: 'cancel', role: 'plans', job: 'close' }, 'reason'],
    [{ action: 'cancel', role: 'plans', job: 'close', reason: 'x'.repeat(201) }, 'reason'],
    [{ action: 'cancel', role: 'plans', job: 'close', reason: 'a\nb' }, 'reason'],
  ])('is none: %j', (value, field) => {
    expect(actionFault(value)).toContain(field);
  });
});
