import {
  Controller,
  Get,
  Inject,
  Post,
  Req,
  Res,
  type Type,
  UseGuards,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import type { Dashboard } from './dashboard.js';
import type { ActionResult } from './dashboard-view.js';
import type { DashboardOptions } from './dashboard.options.js';
import { PAGE } from './page/page.generated.js';
import { pageWriter, type RawExchange, rawExchange, writeAnswer, writeHead } from './raw-http.js';
import { readBody } from './request-body.js';
import { foreignAction, foreignReader } from './same-origin.js';

export const DASHBOARD = Symbol.for('LEADER_ELECTION: dashboard');

type PlatformRequest = Parameters<typeof rawExchange>[0];
type PlatformResponse = Parameters<typeof rawExchange>[1];

/** A class of its own for each `forRoot()`: the path and the guards are marks on the class. */
export function dashboardController({ path, guards, actions }: DashboardOptions): Type<unknown> {
  const writePage = pageWriter(PAGE);

  @Controller({ path, version: VERSION_NEUTRAL })
  @UseGuards(...guards)
  class LeaderDashboardController {
    constructor(@Inject(DASHBOARD) private readonly dashboard: Dashboard) {}

    @Get()
    page(@Req() request: PlatformRequest, @Res() response: PlatformResponse): void {
      writePage(rawExchange(request, response));
    }

    @Get('stream')
    stream(@Req() request: PlatformRequest, @Res() response: PlatformResponse): void {
      const exchange = rawExchange(request, response);
      const foreign = foreignReader(exchange.request.headers);
      if (foreign !== undefined) return writeAnswer(exchange, 403, { message: foreign });
      const refusal = this.dashboard.refusal();
      if (refusal !== undefined) return writeAnswer(exchange, 503, { message: refusal });
      // A proxy such as nginx would hold events back until its buffer is full.
      exchange.response.setHeader('X-Accel-Buffering', 'no');
      writeHead(exchange.response, 200, 'text/event-stream; charset=utf-8');
      if (exchange.request.method === 'HEAD') exchange.response.end();
      else void this.dashboard.watch(exchange.response);
    }

    /** Answers later by itself: what the application does about slow handlers would answer a second time. */
    act(@Req() request: PlatformRequest, @Res() response: PlatformResponse): void {
      void answerAction(this.dashboard, request, rawExchange(request, response));
    }
  }
  if (actions) {
    const { prototype } = LeaderDashboardController;
    Post('actions')(prototype, 'act', Object.getOwnPropertyDescriptor(prototype, 'act')!);
  }
  return LeaderDashboardController;
}

async function answerAction(
  { actions }: Dashboard,
  { body: parsed }: PlatformRequest & { readonly body?: unknown },
  exchange: RawExchange,
): Promise<void> {
  const refuse = (status: number, message: string): void =>
    writeAnswer(exchange, status, { isDone: false, message } satisfies ActionResult);
  const foreign = foreignAction(exchange.request.headers);
  if (foreign !== undefined) return refuse(403, foreign);
  const body = await readBody(parsed, exchange.request);
  if (body.kind === 'unreadable') return refuse(body.status, body.message);
  const { status, ...result } = await actions.perform(body.value);
  writeAnswer(exchange, status, result);
}
