import { spawnSync } from 'node:child_process';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

/** An application whose subscribers throw at every message; it leaves when its job has run three times. */
const PROGRAM = (dist: string, prelude: string): string => `
import 'reflect-metadata';
import { subscribe } from 'node:diagnostics_channel';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeadershipService, memoryLock } from '${dist}/index.js';
import { LeaderSchedule, LeaderScheduleModule } from '${dist}/schedule.js';

const caught = [];
${prelude}
for (const name of ['granted', 'revoked', 'run']) {
  subscribe('nestjs-leader-election:' + name, () => {
    throw new Error('a subscriber of ' + name);
  });
}
class AppModule {}
Module({
  imports: [LeaderElectionModule.forRoot({ role: 'plans', lock: memoryLock() }), LeaderScheduleModule],
})(AppModule);
const application = await NestFactory.createApplicationContext(AppModule, { logger: false });
let runs = 0;
await new Promise((resolve) => {
  application.get(LeaderSchedule).add('job', '* * * * * *', () => {
    runs += 1;
    if (runs === 3) resolve();
  });
});
const isLeader = application.get(LeadershipService).isLeader();
await application.close();
await new Promise(setImmediate);
console.log(JSON.stringify({ runs, isLeader, caught: [...new Set(caught)].sort() }));
`;

let folder: string;
beforeEach(() => {
  // Inside the package, so that it finds the packages installed there.
  folder = mkdtempSync(join('node_modules', '.channel-subscribers-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(prelude: string) {
  const program = join(folder, 'program.mjs');
  writeFileSync(program, PROGRAM(join(process.cwd(), 'dist'), prelude));
  return spawnSync(process.execPath, [program], { encoding: 'utf8', timeout: 60_000 });
}

describe('when subscribers of the channels throw', () => {
  it('leads and runs its jobs as before, and Node raises what they threw as uncaught', () => {
    const { stdout, stderr } = run(
      "process.on('uncaughtException', (error) => caught.push(error.message));",
    );
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      runs: 3,
      isLeader: true,
      caught: ['a subscriber of granted', 'a subscriber of revoked', 'a subscriber of run'],
    });
  });

  it('ends with the exit code of an uncaught exception if the application handles none', () => {
    const { status, stderr } = run('');
    expect(status).toBe(1);
    expect(stderr).toContain('a subscriber of granted');
  });
});
