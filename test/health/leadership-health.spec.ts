import { Controller, Get, Inject, Injectable, Module } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { LeadershipHealthIndicator } from '../../lib/health/index.js';
import { LeadershipService } from '../../lib/index.js';
import { Elections } from '../nest/support/elections.js';

const ASKED = Symbol('what the health check asks');

@Injectable()
@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly leadership: LeadershipHealthIndicator,
    @Inject(ASKED) private readonly asked: Parameters<LeadershipHealthIndicator['check']>[1],
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.leadership.check('leadership', this.asked)]);
  }
}

describe('LeadershipHealthIndicator', () => {
  let elections: Elections;
  beforeEach(() => {
    elections = new Elections();
  });
  afterEach(() => elections.end());

  const start = async (asked: Parameters<LeadershipHealthIndicator['check']>[1] = {}) => {
    @Module({
      imports: [TerminusModule.forRoot({ logger: false })],
      controllers: [HealthController],
      providers: [LeadershipHealthIndicator, { provide: ASKED, useValue: asked }],
    })
    class HealthModule {}
    const app = await elections.start({
      imports: [elections.module({ identity: 'pod-a' }), HealthModule],
    });
    await elections.clock.settle();
    await app.listen(0);
    const url = await app.getUrl();
    return async () => {
      const response = await fetch(`${url.replace('[::1]', '127.0.0.1')}/health`);
      const { status, details } = (await response.json()) as {
        status: string;
        details: { leadership: object };
      };
      return { code: response.status, status, leadership: details.leadership };
    };
  };

  it('answers 200 when this process leads, with what it leads', async () => {
    const ask = await start();
    expect(await ask()).toMatchObject({
      code: 200,
      status: 'ok',
      leadership: { status: 'up', isLeader: true, leader: 'pod-a', term: 1 },
    });
  });

  it('answers 200 when this process follows', async () => {
    await elections.leadingRival('pod-b');
    const ask = await start();
    expect(await ask()).toMatchObject({
      code: 200,
      leadership: { status: 'up', isLeader: false, leader: 'pod-b' },
    });
  });

  it('answers 503 when this process follows and only the leader is to be ready', async () => {
    await elections.leadingRival('pod-b');
    const ask = await start({ readyOnlyWhenLeading: true });
    expect(await ask()).toMatchObject({
      code: 503,
      leadership: { status: 'down', reason: 'this replica does not lead' },
    });
  });

  it('answers 503 when the end of a term has gone unnoticed for longer than the tolerance', async () => {
    const ask = await start();
    elections.clock.stall(17_001);
    expect(await ask()).toMatchObject({ code: 503, leadership: { status: 'down' } });
  });

  it('answers 200 and degraded when no leader is known for longer than a lease', async () => {
    const ask = await start();
    elections.applications[0]!.get(LeadershipService).suspend();
    await elections.clock.advance(16_000);
    expect(await ask()).toMatchObject({
      code: 200,
      status: 'degraded',
      leadership: { status: 'degraded', reason: expect.stringMatching(/^no leader is known for/) },
    });
  });

  it('is up and says that it is degraded when Terminus is version 11, which does not know that', async () => {
    const app = await elections.start({ imports: [elections.module({ identity: 'pod-a' })] });
    app.leadership().suspend();
    await elections.clock.advance(16_000);
    const answer = (status: string) => (details: object) => ({ status, ...details });
    const service = { check: () => ({ up: answer('up'), down: answer('down') }) };
    const indicator = new LeadershipHealthIndicator(service as never, app as never);
    expect(indicator.check('leadership')).toMatchObject({ status: 'up', degraded: true });
  });
});
