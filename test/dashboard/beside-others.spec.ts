import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import fastifyCompress from '@fastify/compress';
import fastifyHelmet from '@fastify/helmet';
import {
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  Catch,
  ClassSerializerInterceptor,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  HttpException,
  type INestApplication,
  Injectable,
  type NestInterceptor,
  VersioningType,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, HttpAdapterHost, Reflector } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { ScheduleModule } from '@nestjs/schedule';
import { Exclude } from 'class-transformer';
import compression from 'compression';
import helmet from 'helmet';
import { type Observable, tap, timeout } from 'rxjs';
import { LeaderDashboardModule } from '../../lib/dashboard/index.js';
import type { ActionResult } from '../../lib/dashboard/dashboard-view.js';
import { PAGE } from '../../lib/dashboard/page/page.generated.js';
import { LeaderScheduleModule } from '../../lib/schedule/index.js';
import { ROLE } from '../nest/support/elections.js';
import { Jobs, ScheduledApplications } from '../schedule/support/scheduled-applications.js';
import { Audience, type Viewer } from './support/viewer.js';

const SIGNED_IN = { cookie: 'session=anna' };
const PACKED = { 'accept-encoding': 'gzip, deflate, br' };

class Plan {
  readonly name = 'p'.repeat(10_000);
  @Exclude() readonly secret = 'hush';
}

@Controller('plans')
class Plans {
  @Get()
  one(): Plan {
    return new Plan();
  }
}

@Injectable()
class SignedIn implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return headers['cookie'] === SIGNED_IN.cookie;
  }
}

/** Answers whatever was thrown in the application's own form. */
@Catch()
class Problems implements ExceptionFilter {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const status = error instanceof HttpException ? error.getStatus() : 500;
    const response: unknown = host.switchToHttp().getResponse();
    this.host.httpAdapter.reply(response, { problem: status }, status);
  }
}

/** A limit of each answer, and a header of its own that is added when the handler is over. */
@Injectable()
class Timing implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const response = context.switchToHttp().getResponse<{
      setHeader?(name: string, value: string): void;
      header(name: string, value: string): void;
    }>();
    const add = () =>
      response.setHeader === undefined
        ? response.header('server-timing', 'app;dur=1')
        : response.setHeader('server-timing', 'app;dur=1');
    return next.handle().pipe(timeout(50), tap(add));
  }
}

/** What many applications use, each with the settings that change the most. */
const PLATFORMS = [
  [
    'Express',
    () => new ExpressAdapter(),
    (app: INestApplication): void => {
      app.use(helmet());
      app.use((_request: unknown, response: ServerResponse, next: () => void) => {
        response.setHeader('content-security-policy-report-only', "script-src 'none'");
        next();
      });
      app.use(compression({ threshold: 0 }));
    },
  ],
  [
    'Fastify',
    () => new FastifyAdapter(),
    async (app: INestApplication): Promise<void> => {
      const fastify = app as unknown as NestFastifyApplication;
      await fastify.register(fastifyHelmet as never);
      await fastify.register(fastifyCompress as never, { threshold: 0, global: true } as never);
    },
  ],
] as const;

describe.each(PLATFORMS)(
  'when an application on %s has middleware, interceptors, guards and filters for all it serves',
  (_platform, adapter, prepare) => {
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

    const serving = async () => {
      const app = await elections.create(
        {
          imports: [
            ScheduleModule.forRoot(),
            elections.module(),
            LeaderScheduleModule,
            LeaderDashboardModule.forRoot({ guards: [new SignedIn()], actions: true }),
          ],
          controllers: [Plans],
          providers: [
            Jobs,
            Reflector,
            { provide: APP_GUARD, useClass: SignedIn },
            { provide: APP_FILTER, useClass: Problems },
            { provide: APP_INTERCEPTOR, useClass: ClassSerializerInterceptor },
            { provide: APP_INTERCEPTOR, useClass: Timing },
          ],
        },
        adapter() as never,
      );
      await prepare(app);
      app.setGlobalPrefix('api');
      app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
      await app.listen(0, '127.0.0.1');
      await elections.clock.settle();
      const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
      return { app, url: `http://127.0.0.1:${port}/api` };
    };

    const watching = (url: string): Promise<Viewer> =>
      audience.watching(`${url}/leader/stream`, { ...SIGNED_IN, ...PACKED });

    it('they change what it serves itself', async () => {
      const { url } = await serving();
      const answer = await fetch(`${url}/v1/plans`, { headers: { ...SIGNED_IN, ...PACKED } });
      expect(await answer.json()).toEqual({ name: expect.any(String) });
      expect(answer.headers.get('content-encoding')).toMatch(/^(gzip|br|deflate)$/);
      expect(answer.headers.get('content-security-policy')).toContain("default-src 'self'");
      expect(answer.headers.get('server-timing')).toBe('app;dur=1');
    });

    it('they do not change the page or its policy', async () => {
      const { url } = await serving();
      const page = await fetch(`${url}/leader`, { headers: { ...SIGNED_IN, ...PACKED } });
      expect(await page.text()).toBe(PAGE.html);
      expect(page.headers.get('content-encoding')).toBe('gzip');
      expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
      const policy = page.headers.get('content-security-policy');
      expect(policy).toMatch(/^default-src 'none'; script-src 'sha256-[^;]+; style-src 'sha256-/);
      expect(policy).not.toContain('unsafe-inline');
      expect(page.headers.get('content-security-policy-report-only')).toBeNull();
    });

    it('the stream comes as it is sent, and stays open', async () => {
      const { app, url } = await serving();
      const viewer = await watching(url);
      expect(viewer.headers['content-encoding']).toBeUndefined();
      expect(viewer.headers['x-accel-buffering']).toBe('no');
      app.leadership().suspend();
      await elections.advanceUntil(() => viewer.role(ROLE).leader === null);
      await new Promise((resolve) => setTimeout(resolve, 100));
      app.leadership().resume();
      await elections.advanceUntil(() => viewer.role(ROLE).leader !== null);
      expect(viewer.isOver).toBe(false);
    });

    it('an action is done, though it takes longer than other answers may', async () => {
      const { app, url } = await serving();
      const viewer = await watching(url);
      let answer: Response | undefined;
      const request = {
        method: 'POST',
        headers: {
          ...SIGNED_IN,
          ...PACKED,
          'content-type': 'application/json',
          'x-leader-dashboard': '1',
          'sec-fetch-site': 'same-origin',
        },
        body: JSON.stringify({ action: 'step-down', role: ROLE }),
      };
      void fetch(`${url}/leader/actions`, request).then((given) => (answer = given));
      await elections.advanceUntil(() => !app.leadership().isLeader());
      await new Promise((resolve) => setTimeout(resolve, 100));
      await elections.advanceUntil(() => answer !== undefined);
      expect(answer!.status).toBe(200);
      expect(((await answer!.json()) as ActionResult).message).toContain('has stepped down');
      expect(viewer.isOver).toBe(false);
    });

    it('the guard and the filter of the application answer whoever is not signed in', async () => {
      const { url } = await serving();
      for (const path of ['/leader', '/leader/stream']) {
        const answer = await fetch(url + path);
        expect(answer.status).toBe(403);
        expect(await answer.json()).toEqual({ problem: 403 });
      }
    });
  },
);
