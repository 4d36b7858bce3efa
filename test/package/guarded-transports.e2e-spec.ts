import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import ts from 'typescript';
import { packedTarball } from './packed-tarball.js';

/** LeaderGuard behind what the unit tests do not have: the oldest NestJS, Mercurius and socket.io. */

const run = promisify(execFile);
const NEST = ['common', 'core', 'microservices', 'platform-socket.io', 'websockets'];
const PACKAGES = [
  ...NEST.map((name) => `@nestjs/${name}@11.0.1`),
  // The versions before it ask for NestJS 10.
  '@nestjs/platform-fastify@11.0.3',
  '@nestjs/graphql@13.0.2',
  '@nestjs/mercurius@13.0.3',
  'graphql@16.15.0',
  'mercurius@16.10.1',
  'reflect-metadata@0.2.2',
  'rxjs@7.8.2',
  'socket.io-client@4.8.4',
];
const INSTALL_LIMIT_MS = 300_000;
const RUN_LIMIT_MS = 60_000;

/** Asks the leader, then a follower. */
const SCRIPT = `
import 'reflect-metadata';
import { Controller, Get, Module, Scope, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { MercuriusDriver } from '@nestjs/mercurius';
import { ClientProxyFactory, MessagePattern, Transport } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { NEVER, firstValueFrom } from 'rxjs';
import { io } from 'socket.io-client';
import { currentTerm, LeaderElectionModule, LeaderGuard, LeadershipService, memoryLock } from 'nestjs-leader-election';

const term = () => 'term ' + currentTerm()?.number;
let begun = () => {};

@UseGuards(LeaderGuard)
@Controller({ scope: Scope.REQUEST })
class Scoped {
  @Get() get() { return term(); }
}
@UseGuards(LeaderGuard)
@Controller()
class Messages {
  @MessagePattern('get') get() { return term(); }
}
@Resolver()
class Plans {
  @UseGuards(LeaderGuard)
  @Query(() => String, { nullable: true }) get() { return term(); }
}
@UseGuards(LeaderGuard)
@WebSocketGateway()
class Gateway {
  @SubscribeMessage('get') get() { return { event: 'got', data: term() }; }
  @SubscribeMessage('silent') silent() { begun(); return NEVER; }
}

const lock = memoryLock();
async function start(identity) {
  // Subscriptions of Mercurius would take the connections of socket.io.
  const driver = { driver: MercuriusDriver, autoSchemaFile: true };
  const election = LeaderElectionModule.forRoot({ role: 'plan', identity, lock, drainTimeoutMs: 20000, leaseDurationMs: 60000, renewDeadlineMs: 40000 });
  @Module({ imports: [election, GraphQLModule.forRoot(driver)], controllers: [Scoped, Messages], providers: [Plans, Gateway] })
  class AppModule {}
  const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: ['error'] });
  app.useWebSocketAdapter(new IoAdapter(app));
  const microservice = app.connectMicroservice({ transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 } });
  await app.startAllMicroservices();
  await app.listen(0, '127.0.0.1');
  return { app, leadership: app.get(LeadershipService), url: await app.getUrl(), port: microservice.unwrap().address().port };
}
async function asked({ url, port }) {
  const http = await fetch(url);
  const query = JSON.stringify({ query: '{ get }' });
  const answer = await (await fetch(url + '/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body: query })).json();
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { host: '127.0.0.1', port } });
  const rpc = await firstValueFrom(client.send('get', {})).catch(({ code }) => code);
  await client.close();
  const socket = io(url, { transports: ['websocket'] });
  socket.emit('get', 7);
  const ws = await new Promise((resolve) => socket.onAny((event, body) => resolve([event, body])));
  socket.close();
  return { http: [http.status, (await http.text()).slice(0, 6)], graphql: answer.errors?.[0].extensions.code ?? answer.data.get, rpc, ws };
}
async function main() {
  const leader = await start('pod-a');
  await leader.leadership.waitForLeadership();
  const follower = await start('pod-b');
  await new Promise((resolve) => follower.leadership.leader$.subscribe((name) => name === 'pod-a' && resolve()));
  console.log(JSON.stringify(await asked(leader)));
  console.log(JSON.stringify(await asked(follower)));
  const socket = io(leader.url, { transports: ['websocket'] });
  const silent = new Promise((resolve) => (begun = resolve));
  socket.emit('silent', 7);
  await silent;
  socket.close();
  // Its bound is 20 s.
  const closing = performance.now();
  await leader.app.close();
  console.log(JSON.stringify({ isDrained: performance.now() - closing < 15000 }));
  await follower.app.close();
}
void main();
`;

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'guarded-'));
  const tarball = await packedTarball(folder);
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const install = ['install', '--no-audit', '--no-fund', tarball, ...PACKAGES];
  await run('npm', install, { cwd: folder });
  const { outputText } = ts.transpileModule(SCRIPT, {
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES2022,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
    },
  });
  writeFileSync(join(folder, 'main.cjs'), outputText);
}, INSTALL_LIMIT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ANSWER = 'Only the leader answers this request.';

describe('when LeaderGuard guards an application of the oldest NestJS', () => {
  it(
    'on Fastify with Mercurius and socket.io, the leader answers, a follower refuses, and a client that has gone holds up no end',
    async () => {
      const { stdout } = await run(process.execPath, [join(folder, 'main.cjs')]);
      const said = stdout.trim().split('\n');
      expect(said.map((line) => JSON.parse(line) as object)).toEqual([
        {
          http: [200, 'term 1'],
          graphql: 'term 1',
          rpc: 'term 1',
          ws: ['got', 'term 1'],
        },
        {
          http: [503, '{"stat'],
          graphql: 'ERR_NOT_LEADER',
          rpc: 'ERR_NOT_LEADER',
          ws: [
            'exception',
            { status: 'error', message: ANSWER, cause: { pattern: 'get', data: 7 } },
          ],
        },
        { isDrained: true },
      ]);
    },
    RUN_LIMIT_MS,
  );
});
