import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { guard, type GuardReport, othersInGroup } from '../../lib/cli/run/program-guard.js';

describe('when the hold is over before the guard of a program starts it', () => {
  it('starts nothing, and says so', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'program-guard-'));
    const proof = join(folder, 'started');
    const source = `(${guard.toString()})(require, ${othersInGroup.toString()})`;
    const child = spawn(process.execPath, ['-e', source], {
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const settings = {
      command: '/bin/sh',
      args: ['-c', `echo > ${proof}`],
      env: { PATH: '/bin:/usr/bin' },
      stopBeforeMs: 600,
      killBeforeMs: 60,
      drainTimeoutMs: 1_000,
    };
    const monotonicMs = Number(process.hrtime.bigint()) / 1e6;
    const hold = { leftMs: 500, monotonicMs, bootMs: uptime() * 1e3 };
    const reports: GuardReport[] = [];
    child.on('message', (report: GuardReport) => reports.push(report));
    child.send({ kind: 'start', settings, hold });
    await new Promise((resolve) => child.once('exit', resolve));
    expect(reports).toEqual([{ kind: 'not-held' }]);
    expect(existsSync(proof)).toBe(false);
    rmSync(folder, { recursive: true });
  });
});
