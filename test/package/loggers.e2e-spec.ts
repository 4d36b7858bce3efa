import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { packedTarball } from './packed-tarball.js';

/** What the real loggers write of the lines of this library, with the NestJS that each of them is for. */

const run = promisify(execFile);
const VERSIONS: Record<string, string[]> = {
  '11.0.0': ['@nestjs/common@11.0.0', '@nestjs/core@11.0.0', 'nestjs-pino@4.6.1'],
  '12.5.1': ['@nestjs/common@12.5.1', '@nestjs/core@12.5.1', 'nestjs-pino@5.2.1'],
};
const LOGGERS = ['pino@10.4.0', 'pino-http@11.0.0', 'nest-winston@2.0.0', 'winston@3.19.0'];
const PEERS = ['reflect-metadata@0.2.2', 'rxjs@7.8.2'];
const INSTALL_LIMIT_MS = 300_000;
const RUN_LIMIT_MS = 60_000;

/** An application with the logger that the command line names leads and ends. */
const SCRIPT = `
import 'reflect-metadata';
import { ConsoleLogger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeadershipService, memoryLock, OnGranted } from 'nestjs-leader-election';

const strings = (text) => process.stdout.write(text.trim().toUpperCase() + '\\n');
const loggers = {
  text: async () => [[], () => new ConsoleLogger({ colors: false })],
  json: async () => [[], () => new ConsoleLogger({ json: true })],
  strings: async () => [[], () => ({ log: strings, warn: strings, error: strings })],
  pino: async () => {
    const { Logger, LoggerModule } = await import('nestjs-pino');
    return [[LoggerModule.forRoot()], (app) => app.get(Logger)];
  },
  winston: async () => {
    const { WinstonModule } = (await import('nest-winston')).default;
    const { format, transports } = (await import('winston')).default;
    return [[], () => WinstonModule.createLogger({ format: format.json(), transports: [new transports.Console()] })];
  },
};
const [imports, loggerOf] = await loggers[process.argv[2]]();
class Plans {
  start() {
    if (process.argv[3] === 'fails') throw new Error('no database');
  }
}
OnGranted()(Plans.prototype, 'start', Object.getOwnPropertyDescriptor(Plans.prototype, 'start'));
class AppModule {}
const election = LeaderElectionModule.forRoot({ role: 'plan', leaseName: 'plans', identity: 'pod-a', lock: memoryLock() });
// nestjs-pino is in the application that it logs for.
const isInside = process.argv[2] === 'pino';
const options = isInside ? { bufferLogs: true } : { logger: loggerOf() };
const app = await NestFactory.createApplicationContext({ module: AppModule, imports: [...imports, election], providers: [Plans] }, options);
if (isInside) app.useLogger(loggerOf(app));
const leadership = app.get(LeadershipService);
await leadership.waitForLeadership();
await new Promise((resolve) => setTimeout(resolve, 100));
await app.close();
`;

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'loggers-'));
  const tarball = await packedTarball(folder);
  for (const [version, packages] of Object.entries(VERSIONS)) {
    const cwd = join(folder, version);
    mkdirSync(cwd);
    writeFileSync(join(cwd, 'package.json'), '{"private":true}');
    await run(
      'npm',
      ['install', '--no-audit', '--no-fund', tarball, ...packages, ...LOGGERS, ...PEERS],
      {
        cwd,
      },
    );
    writeFileSync(join(cwd, 'main.mjs'), SCRIPT);
  }
}, INSTALL_LIMIT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function written(version: string, logger: string, how = 'works'): Promise<string[]> {
  const program = join(folder, version, 'main.mjs');
  const { stdout, stderr } = await run(process.execPath, [program, logger, how]);
  return `${stdout}${stderr}`.trim().split('\n');
}

/** What a logger writes, as far as it has been read. */
type Line = Record<string, unknown>;

const GRANTED = {
  event: 'leadership.granted',
  role: 'plan',
  lease: 'in-memory lease default/plans',
  identity: 'pod-a',
  term: 1,
  fencingToken: '1',
};
const REVOKED = { event: 'leadership.revoked', role: 'plan', term: 1, reason: 'shutdown' };
const SENTENCE = 'became leader (term 1, fencing token 1) [plan]';

describe('when an application logs', () => {
  it.each(['11.0.0', '12.5.1'])(
    'text with NestJS %s, each line is a sentence',
    async (version) => {
      const lines = await written(version, 'text');
      expect(lines.filter((line) => line.includes(SENTENCE))).toEqual([
        expect.stringMatching(/ LOG \[LeaderElection\] became leader [^{}]*$/),
      ]);
    },
    RUN_LIMIT_MS,
  );

  it.each([
    ['JSON with NestJS', '11.0.0', 'json', (line: Line) => line.message],
    ['JSON with NestJS', '12.5.1', 'json', (line: Line) => line.message],
    ['with nestjs-pino 4 on NestJS', '11.0.0', 'pino', (line: Line) => line],
    ['with nestjs-pino 5 on NestJS', '12.5.1', 'pino', (line: Line) => line],
    [
      'with nest-winston on NestJS',
      '12.5.1',
      'winston',
      (line: Line) => ({ ...line, msg: line.message }),
    ],
  ] as const)(
    '%s %s, role, lease, identity, term, reason and event are fields',
    async (_what, version, logger, entryOf) => {
      const entries = (await written(version, logger)).map((line) =>
        entryOf(JSON.parse(line) as Line),
      );
      expect(entries).toContainEqual(expect.objectContaining({ ...GRANTED, msg: SENTENCE }));
      expect(entries).toContainEqual(expect.objectContaining(REVOKED));
    },
    RUN_LIMIT_MS,
  );

  it.each([
    ['JSON', 'json', (line: Line) => line.message],
    ['with nestjs-pino', 'pino', (line: Line) => line],
  ] as const)(
    '%s, the stack of a handler that failed is a field',
    async (_what, logger, entryOf) => {
      const lines = await written('12.5.1', logger, 'fails');
      expect(lines.map((line) => entryOf(JSON.parse(line) as Line))).toContainEqual(
        expect.objectContaining({
          event: 'work.failed',
          code: 'ERR_LEADERSHIP_HANDLER',
          stack: expect.stringMatching(/^Error: no database\n +at Plans\.start /),
        }),
      );
    },
    RUN_LIMIT_MS,
  );

  it(
    'text, the stack of a handler that failed follows the sentence',
    async () => {
      const lines = await written('12.5.1', 'text', 'fails');
      const sentence = lines.findIndex((line) => line.includes('ERROR [LeaderElection] '));
      expect(lines.slice(sentence, sentence + 3)).toEqual([
        expect.stringMatching(/ @OnGranted\(\) Plans\.start .*no database.* \[plan\]$/),
        'Error: no database',
        expect.stringMatching(/^ +at Plans\.start /),
      ]);
    },
    RUN_LIMIT_MS,
  );

  it(
    'with a logger that takes only strings, it gets the sentences',
    async () => {
      const lines = await written('12.5.1', 'strings');
      expect(lines).toContain(SENTENCE.toUpperCase());
    },
    RUN_LIMIT_MS,
  );
});
