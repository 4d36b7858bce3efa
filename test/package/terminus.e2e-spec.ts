import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { packedTarball } from './packed-tarball.js';

/** The indicators of the real Terminus as eligibility checks, with the NestJS that each of its majors is for. */

const run = promisify(execFile);
const VERSIONS: Record<string, string[]> = {
  '11.1.1': ['@nestjs/common@11.0.0', '@nestjs/core@11.0.0'],
  '12.1.0': ['@nestjs/common@12.5.1', '@nestjs/core@12.5.1'],
};
const PEERS = ['reflect-metadata@0.2.2', 'rxjs@7.8.2'];
const INSTALL_LIMIT_MS = 300_000;
const RUN_LIMIT_MS = 60_000;

/** Each check is well at first, then not; says whether the replica is eligible, and what the log gives as the reason. */
const SCRIPT = `
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import * as terminus from '@nestjs/terminus';
import { LeaderElectionModule, LeadershipService, memoryLock } from 'nestjs-leader-election';

const { HealthCheckService, HealthIndicatorService, MemoryHealthIndicator, TerminusModule } = terminus;
let isWell = true;

class OldIndicator extends (terminus.HealthIndicator ?? Object) {
  isHealthy() {
    if (isWell) return this.getStatus('database', true);
    throw new terminus.HealthCheckError('no connection', this.getStatus('database', false));
  }
}

const indicated = (service) => {
  const database = service.check('database');
  return isWell ? database.up() : database.down('no connection');
};
const checks = {
  'a result of HealthIndicatorService': ({ service }) => async () => indicated(service),
  'a whole health check': ({ health, service }) => () => health.check([() => indicated(service)]),
  'an indicator of Terminus itself': ({ memory }) => () => memory.checkHeap('heap', isWell ? 1e12 : 1),
  ...(terminus.HealthIndicator && {
    'an old indicator that rejects': () => { const old = new OldIndicator(); return async () => old.isHealthy(); },
  }),
};

const logged = [];
const note = (text) => logged.push(String(text));
const logger = { log: note, warn: note, error: note, debug() {}, verbose() {}, fatal: note };

async function until(holds) {
  for (let left = 200; !holds(); left--) {
    if (left === 0) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

for (const [name, make] of Object.entries(checks)) {
  isWell = true;
  logged.length = 0;
  class AppModule {}
  const election = LeaderElectionModule.forRootAsync({
    role: 'plan',
    imports: [TerminusModule],
    inject: [HealthIndicatorService, HealthCheckService, MemoryHealthIndicator],
    useFactory: (service, health, memory) => ({
      lock: memoryLock(),
      leaseDurationMs: 3000,
      renewDeadlineMs: 2000,
      retryPeriodMs: 200,
      requestTimeoutMs: 500,
      ineligibleGraceMs: 300,
      eligibility: [make({ service, health, memory })],
    }),
  });
  const app = await NestFactory.createApplicationContext(
    { module: AppModule, imports: [TerminusModule, election] },
    { logger },
  );
  const leadership = app.get(LeadershipService);
  const leads = await until(() => leadership.isLeader() && leadership.isEligible);
  isWell = false;
  const isUnfit = await until(() => !leadership.isEligible);
  const why = logged.find((text) => text.includes('is ineligible to lead'))?.split('known to be fit: ')[1]?.replace(' [plan]', '');
  isWell = true;
  const isFit = await until(() => leadership.isEligible);
  console.log(JSON.stringify({ name, leads, isUnfit, isFit, why }));
  await app.close();
}
`;

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'terminus-'));
  const tarball = await packedTarball(folder);
  for (const [version, nest] of Object.entries(VERSIONS)) {
    const cwd = join(folder, version);
    mkdirSync(cwd);
    writeFileSync(join(cwd, 'package.json'), '{"private":true}');
    const packages = [tarball, `@nestjs/terminus@${version}`, ...nest, ...PEERS];
    await run('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd });
    writeFileSync(join(cwd, 'main.mjs'), SCRIPT);
  }
}, INSTALL_LIMIT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('when the indicators of Terminus say whether a replica is fit to lead', () => {
  it.each([
    [
      '11.1.1',
      {
        'a result of HealthIndicatorService': /^database is down$/,
        'a whole health check': /^database is down$/,
        'an indicator of Terminus itself': /heap/i,
        'an old indicator that rejects': /^database is down$/,
      },
    ],
    [
      '12.1.0',
      {
        'a result of HealthIndicatorService': /^database is down$/,
        'a whole health check': /^database is down$/,
        'an indicator of Terminus itself': /heap/i,
      },
    ],
  ])(
    'by those of %s it is, then it is not, and then it is again',
    async (version, reasons: Record<string, RegExp>) => {
      const { stdout } = await run(process.execPath, [join(folder, version, 'main.mjs')]);
      const said = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { name: string });
      expect(said).toEqual(
        Object.entries(reasons).map(([name, why]) => ({
          name,
          leads: true,
          isUnfit: true,
          isFit: true,
          why: expect.stringMatching(why),
        })),
      );
    },
    RUN_LIMIT_MS,
  );
});
