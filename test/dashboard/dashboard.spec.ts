import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import {
  type CallHandler,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  Module,
  type ModuleMetadata,
  type NestInterceptor,
  VersioningType,
} from '@nestjs/common';
import { APP_INTERCEPTOR, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ScheduleModule } from '@nestjs/schedule';
import { map, type Observable } from 'rxjs';
import { LeaderDashboardModule, type LeaderDashboardOptions } from '../../lib/dashboard/index.js';
import { PAGE } from '../../lib/dashboard/page/page.generated.js';
import { VERSION } from '../../lib/dashboard/version.js';
import { ELECTION_ACTIVITY } from '../../lib/election/election-activity.js';
import {
  type LeaderElectionModuleOptions,
  LeaderElectionOptionsError,
  memoryLock,
} from '../../lib/index.js';
import { LeaderScheduleModule } from '../../lib/schedule/index.js';
import { ROLE } from '../nest/support/elections.js';
import { until } from '../nest/support/until.js';
import {
  Jobs,
  MINUTE_MS,
  ScheduledApplications,
} from '../schedule/support/scheduled-applications.js';
import { Audience, type Viewer } from './support/viewer.js';

const POLICY = [
  "default-src 'none'",
  `script-src '${PAGE.scriptHashes.join("' '")}'`,
  `style-src '${PAGE.styleHashes.join("' '")}'`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** What an application does to each of its answers. */
@Injectable()
class Wrapping implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((data: unknown) => ({ data })));
  }
}

@Controller('plans')
class Plans {
  @Get()
  list(): string[] {
    return ['one'];
  }
}

@Injectable()
class Passwords {
  readonly password = 'open sesame';
}
@Module({ providers: [Passwords], exports: [Passwords] })
class PasswordsModule {}

@Injectable()
class PasswordGuard implements CanActivate {
  constructor(@Inject(Passwords) private readonly passwords: Passwords) {}

  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return headers['authorization'] === this.passwords.password;
  }
}

describe('the dashboard', () => {
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

  const look = (url: string, headers?: Record<string, string>): Viewer =>
    audience.look(url, headers);

  const watching = (url: string): Promise<Viewer> => audience.watching(`${url}/leader/stream`);

  /** Lets time pass until the viewer has heard of it. */
  const passing = async (is: () => boolean): Promise<void> => elections.advanceUntil(is);

  describe.each([
    ['Express', () => new ExpressAdapter()],
    ['Fastify', () => new FastifyAdapter()],
  ])('when an application serves it with %s', (_platform, adapter) => {
    const serving = async (
      options: LeaderDashboardOptions = {},
      more: ModuleMetadata = {},
      prepare: (app: Awaited<ReturnType<ScheduledApplications['create']>>) => void = () => {},
      election: Partial<LeaderElectionModuleOptions> = {},
    ) => {
      const app = await elections.create(
        {
          ...more,
          imports: [
            elections.module(election),
            LeaderDashboardModule.forRoot(options),
            ...(more.imports ?? []),
          ],
        },
        adapter() as never,
      );
      prepare(app);
      await app.listen(0, '127.0.0.1');
      await elections.clock.settle();
      const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
      return { app, url: `http://127.0.0.1:${port}` };
    };

    it('sends the page with a policy that allows its own script and style, and nothing else', async () => {
      const { url } = await serving();
      const answer = await fetch(`${url}/leader`);
      expect(answer.status).toBe(200);
      expect(await answer.text()).toBe(PAGE.html);
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        'cache-control': 'no-store, no-transform',
        'content-security-policy': POLICY,
        'content-type': 'text/html; charset=utf-8',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
      });
      const [, script] = /<script type="module">(.*)<\/script>/s.exec(PAGE.html)!;
      const hash = createHash('sha256').update(script!).digest('base64');
      expect(PAGE.scriptHashes).toEqual([`sha256-${hash}`]);
    });

    it.each([
      [undefined, null],
      ['gzip, deflate, br', 'gzip'],
      ['br;q=1.0, gzip;q=0.8', 'gzip'],
      ['gzip;q=0, identity', null],
    ])('packs the page for who accepts %s', async (accepted, encoding) => {
      const { url } = await serving();
      const headers = accepted === undefined ? {} : { 'accept-encoding': accepted };
      const [answer] = (await once(
        get(`${url}/leader`, { headers, agent: false }),
        'response',
      )) as [IncomingMessage];
      const body = await buffer(answer);
      expect(answer.headers['content-encoding'] ?? null).toBe(encoding);
      expect(answer.headers.vary).toBe('Accept-Encoding');
      expect(String(encoding === null ? body : gunzipSync(body))).toBe(PAGE.html);
    });

    it('says hello, then each part, then that this is all', async () => {
      const { app, url } = await serving();
      const viewer = await watching(url);
      expect(viewer.names()).toEqual([
        'hello',
        `role/${ROLE}`,
        `terms/${ROLE}`,
        `events/${ROLE}`,
        'ready',
      ]);
      expect(viewer.headers['content-type']).toBe('text/event-stream; charset=utf-8');
      expect(viewer.headers['cache-control']).toBe('no-store, no-transform');
      expect(viewer.hello).toMatchObject({ protocol: 1, version: VERSION, hasActions: false });
      const { identity } = app.leadership();
      expect(viewer.role(ROLE)).toMatchObject({
        role: ROLE,
        identity,
        leader: { identity, isThisReplica: true, term: 1 },
        validity: { ofMs: 10_000 },
        timing: { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 },
        health: { status: 'up', reason: null },
        members: null,
        lease: { failure: null },
      });
      expect(viewer.terms(ROLE).terms).toMatchObject([{ term: 1, holder: identity, to: null }]);
      expect(viewer.told(ROLE).join('\n')).toContain('became leader (term 1)');
    });

    it('reaches the page past whatever the application does to its answers', async () => {
      const { url } = await serving(
        {},
        {
          controllers: [Plans],
          providers: [{ provide: APP_INTERCEPTOR, useClass: Wrapping }],
        },
        (app) => {
          app.setGlobalPrefix('api');
          app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
          app.enableCors({ origin: true, credentials: true });
        },
      );
      expect(await (await fetch(`${url}/api/v1/plans`)).json()).toEqual({ data: ['one'] });
      const page = await fetch(`${url}/api/leader`, { headers: { origin: 'http://evil.example' } });
      expect(await page.text()).toBe(PAGE.html);
      expect(page.headers.get('content-security-policy')).toBe(POLICY);
      expect(page.headers.get('access-control-allow-origin')).toBeNull();
      const viewer = await watching(`${url}/api`);
      expect(viewer.role(ROLE).leader).not.toBeNull();
    });

    it('serves page and data to those whom the guard lets through, and to no others', async () => {
      const options = { path: 'ops/leader', guards: [PasswordGuard], imports: [PasswordsModule] };
      const { url } = await serving(options);
      for (const path of ['/ops/leader', '/ops/leader/stream']) {
        const refused = await fetch(url + path);
        expect(refused.status).toBe(403);
        expect(await refused.json()).toMatchObject({ statusCode: 403 });
      }
      const headers = { authorization: 'open sesame' };
      expect((await fetch(`${url}/ops/leader`, { headers })).status).toBe(200);
      const viewer = look(`${url}/ops/leader/stream`, headers);
      await until(() => viewer.isReady);
    });

    it.each(['cross-site', 'same-site'])('sends no data to a page elsewhere (%s)', async (site) => {
      const { url } = await serving();
      const answer = await fetch(`${url}/leader/stream`, { headers: { 'sec-fetch-site': site } });
      expect(answer.status).toBe(403);
      expect(await answer.json()).toEqual({
        message: `only the page of the dashboard may read this (Sec-Fetch-Site: ${site})`,
      });
    });

    it('ends an answer that has no body', async () => {
      const { url } = await serving();
      for (const path of ['/leader', '/leader/stream']) {
        const answer = await fetch(url + path, { method: 'HEAD' });
        expect(answer.status).toBe(200);
        expect(await answer.text()).toBe('');
      }
    });

    it('sends each change, and what a viewer missed when it comes back', async () => {
      const { app, url } = await serving();
      const viewer = await watching(url);
      app.leadership().suspend();
      await passing(() => viewer.role(ROLE).leader === null);
      expect(viewer.terms(ROLE).terms).toMatchObject([{ term: 1, reason: 'suspended' }]);
      viewer.close();
      await elections.leadingRival('pod-b');
      const again = await watching(url);
      expect(again.names()[0]).toBe('hello');
      await passing(() => again.role(ROLE).leader?.identity === 'pod-b');
      expect(again.role(ROLE).leader).toMatchObject({ isThisReplica: false, term: 2 });
      expect(again.terms(ROLE).terms).toMatchObject([
        { term: 1, reason: 'suspended' },
        { term: 2, holder: 'pod-b', to: null },
      ]);
    });

    it('ends the streams when the application closes, also of a viewer who does not read', async () => {
      const { app, url } = await serving();
      const [reading, stalled] = [await watching(url), await watching(url)];
      stalled.pause();
      let isClosed = false;
      void app.close().then(() => (isClosed = true));
      await passing(() => isClosed && reading.isOver);
      expect(reading.body.endsWith('\n\n')).toBe(true);
    });

    it('keeps the connection open by comments', async () => {
      const { url } = await serving();
      const viewer = await watching(url);
      const before = viewer.comments.length;
      await elections.clock.advance(15_000);
      await until(() => viewer.comments.length > before);
      expect(viewer.isOver).toBe(false);
    });

    it('serves as many viewers as it can bear, and says so to the next', async () => {
      const { url } = await serving();
      const served = await Promise.all(Array.from({ length: 50 }, () => watching(url)));
      const answer = await fetch(`${url}/leader/stream`);
      expect(answer.status).toBe(503);
      expect(await answer.json()).toEqual({
        message: 'this replica already serves 50 viewers of the dashboard',
      });
      served[0]!.close();
      await until(() => served[0]!.isOver);
      await elections.clock.settle();
      await watching(url);
    });

    it('is the same on a follower as on the leader', async () => {
      const jobs = {
        imports: [ScheduleModule.forRoot(), LeaderScheduleModule],
        providers: [Jobs],
      };
      const leader = await serving({}, jobs);
      const follower = await serving({}, jobs);
      expect(leader.app.leadership().isLeader()).toBe(true);
      await elections.clock.advance(2 * MINUTE_MS);
      const [one, other] = [await watching(leader.url), await watching(follower.url)];
      expect(one.names().at(-1)).toBe('ready');
      expect(one.names()).toContain(`job/${ROLE}/Jobs.everyMinute`);
      await passing(() => other.job(ROLE, 'Jobs.everyMinute')?.history.length === 2);
      await passing(() => one.job(ROLE, 'Jobs.everyMinute')?.history.length === 2);
      const shared = ({ at: _at, ...job }: object & { at: number }): object => job;
      expect(shared(other.job(ROLE, 'Jobs.everyMinute')!)).toEqual(
        shared(one.job(ROLE, 'Jobs.everyMinute')!),
      );
      expect(other.job(ROLE, 'Jobs.everyMinute')).toMatchObject({
        isReadable: true,
        state: 'scheduled',
        intervalMs: MINUTE_MS,
        history: [{ outcome: 'succeeded' }, { outcome: 'succeeded' }],
      });
      const [seen, own] = [other.role(ROLE), one.role(ROLE)];
      expect(seen.leader).toMatchObject({
        ...own.leader,
        since: expect.any(Number),
        isThisReplica: false,
      });
      expect(seen.lease.words.slice(0, 1)).toEqual(own.lease.words.slice(0, 1));
      expect(seen.validity!.remainingMs).toBeGreaterThan(5_000);
    });
  });

  describe('when an application has two of them', () => {
    it.each(['reference', 'deep-hash'] as const)(
      'serves each at its own path, with its own guards and actions (modules by %s)',
      async (moduleIdGeneratorAlgorithm) => {
        const imports = [
          elections.module(),
          LeaderDashboardModule.forRoot({ path: '/all' }),
          LeaderDashboardModule.forRoot({
            path: '/ops',
            guards: [new PasswordGuard({ password: 'open sesame' })],
            actions: true,
          }),
        ];
        @Module({ imports })
        class AppModule {}
        const options = { moduleIdGeneratorAlgorithm, logger: false } as const;
        const app = await NestFactory.create(AppModule, new ExpressAdapter(), options);
        elections.applications.push(app);
        await app.listen(0, '127.0.0.1');
        const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
        const url = `http://127.0.0.1:${port}`;
        const post = { method: 'POST' };
        const statuses = [
          await fetch(`${url}/all`),
          await fetch(`${url}/all/actions`, post),
          await fetch(`${url}/ops`),
          await fetch(`${url}/ops`, { headers: { authorization: 'open sesame' } }),
        ].map(({ status }) => status);
        expect(statuses).toEqual([200, 404, 403, 200]);
        const viewer = look(`${url}/all/stream`);
        await until(() => viewer.isReady);
        expect(viewer.hello.hasActions).toBe(false);
        viewer.close();
        await app.close();
      },
    );
  });

  describe('when no one looks', () => {
    it('reads nothing, sets no timer, and makes no gate slower', async () => {
      const reads: string[] = [];
      const app = await elections.create({
        imports: [
          elections.module({ lock: counted(elections, reads) }),
          ScheduleModule.forRoot(),
          LeaderScheduleModule,
          LeaderDashboardModule.forRoot(),
        ],
        providers: [Jobs],
      });
      await app.listen(0, '127.0.0.1');
      expect(app.leadership()[ELECTION_ACTIVITY].observed).toBeUndefined();
      await elections.clock.advance(MINUTE_MS);
      const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
      const quiet = reads.length;
      const timers = elections.clock.pendingTimers;
      const viewer = await watching(`http://127.0.0.1:${port}`);
      reads.length = 0;
      for (let turn = 0; turn < 10; turn += 1) await elections.clock.advance(2_000);
      // One of the schedule each retry period, and none of the lease that the election does not make.
      expect(reads.filter((each) => each === 'schedule')).toHaveLength(10);
      expect(reads.filter((each) => each === 'lease')).toHaveLength(0);
      viewer.close();
      await until(() => elections.clock.pendingTimers <= timers);
      reads.length = 0;
      await elections.clock.advance(20_000);
      expect(reads).toEqual([]);
      expect(quiet).toBeGreaterThan(0);
    });
  });

  describe('when its own reads fail', () => {
    it('says so, and the election does not notice', async () => {
      const app = await elections.create({
        imports: [elections.module({ lock: broken(elections) }), LeaderDashboardModule.forRoot()],
      });
      await app.listen(0, '127.0.0.1');
      await elections.clock.settle();
      const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
      const viewer = look(`http://127.0.0.1:${port}/leader/stream`);
      await passing(() => viewer.isReady);
      await passing(() => viewer.told(ROLE).some((text) => text.includes('could not be read')));
      const { length } = viewer.told(ROLE);
      await elections.clock.advance(40_000);
      expect(viewer.told(ROLE).length).toBe(length);
      expect(app.leadership().isLeader()).toBe(true);
      expect(app.leadership().health().status).toBe('up');
    });
  });

  describe('when it is set up wrongly', () => {
    const faultsOf = (options: unknown) => {
      try {
        LeaderDashboardModule.forRoot(options as LeaderDashboardOptions);
      } catch (error) {
        return (error as LeaderElectionOptionsError).message;
      }
      return undefined;
    };

    it.each([
      [{ path: '/leader/' }, 'path'],
      [{ path: '/:role' }, 'path'],
      [{ path: 7 }, 'path'],
      [{ guards: PasswordGuard }, 'guards'],
      [{ guards: [PasswordGuard, {}] }, 'guards[1]'],
      [{ guards: [null] }, 'guards[0]'],
      [{ imports: 'AuthModule' }, 'imports'],
      [{ guard: [] }, 'guard'],
      [{ actions: true }, 'add for example guards: [AdminGuard], or remove it'],
      [{ actions: true, guards: [] }, 'actions'],
      [{ actions: 'yes', guards: [PasswordGuard] }, 'actions'],
      ['leader', 'options'],
    ])('names the fault of %j', (options, field) => {
      expect(faultsOf(options)).toContain(field);
      expect(faultsOf(options)).toContain('LeaderDashboardModule.forRoot()');
    });

    it.each([{}, { path: '/' }, { path: 'ops' }, { path: '/ops/leader', guards: [PasswordGuard] }])(
      'takes %j',
      (options) => {
        expect(faultsOf(options)).toBeUndefined();
      },
    );

    it('says that it needs an election', async () => {
      const builder = elections.builder({ imports: [LeaderDashboardModule.forRoot()] });
      await expect(builder.compile()).rejects.toThrow('needs an election');
    });
  });

  it('says the version of the package', () => {
    const file = new URL('../../package.json', import.meta.url);
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
    expect(VERSION).toBe(version);
  });
});

function counted(elections: ScheduledApplications, reads: string[]) {
  return (requester: Parameters<ReturnType<typeof memoryLock>>[0]) => {
    const lock = memoryLock(elections.store)(requester) as ReturnType<
      ScheduledApplications['lock']
    >;
    const read = lock.read.bind(lock);
    const sibling = lock.sibling.bind(lock);
    return Object.assign(lock, {
      read: (...options: Parameters<typeof read>) => {
        reads.push('lease');
        return read(...options);
      },
      sibling: (suffix: string) => {
        const store = sibling(suffix);
        const readDocument = store.read.bind(store);
        return Object.assign(store, {
          read: (...options: Parameters<typeof readDocument>) => {
            reads.push(suffix);
            return readDocument(...options);
          },
        });
      },
    });
  };
}

/** Its documents never answer: neither an outcome nor an error. */
function broken(elections: ScheduledApplications) {
  return (requester: Parameters<ReturnType<typeof memoryLock>>[0]) => {
    const lock = memoryLock(elections.store)(requester) as ReturnType<
      ScheduledApplications['lock']
    >;
    const sibling = lock.sibling.bind(lock);
    return Object.assign(lock, {
      sibling: (suffix: string) =>
        Object.assign(sibling(suffix), { read: () => new Promise<never>(() => {}) }),
    });
  };
}
