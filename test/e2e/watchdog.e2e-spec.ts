import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NodeProgram } from '../../proof/fleet/node-program.js';
import type { WatchdogSettings } from './support/watchdog-application.js';

const PROGRAM = fileURLToPath(
  new URL('../../.tools/test/e2e/support/watchdog-application.js', import.meta.url),
);
/** Longer than the whole lease of 8 s. */
const LONG_MS = 10_000;

let directory: string;
let replicas: NodeProgram[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'watchdog-'));
  replicas = [];
});

afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.kill()));
  rmSync(directory, { recursive: true, force: true });
});

function start(name: string, given: Partial<WatchdogSettings>): NodeProgram {
  const settings: WatchdogSettings = { directory, watchdog: true, blocksMs: 0, ...given };
  const replica = new NodeProgram({
    name,
    program: PROGRAM,
    env: { WATCHDOG_SETTINGS: JSON.stringify(settings) },
  });
  replicas.push(replica);
  return replica;
}

describe('when a term runs out while the event loop is blocked', () => {
  it('ends the process and says so, and another replica leads', async () => {
    const blocked = start('blocked', { blocksMs: 120_000 });
    await blocked.line(/^granted$/);
    const standby = start('standby', {});
    await blocked.exited;
    expect(blocked.outcome).toBe('SIGKILL');
    await blocked.line(
      /^the term ran out and the main thread did not answer for 3000 ms: the watchdog ends this process \[plan-scheduler\]$/,
    );
    await standby.line(/^granted$/);
  });

  it('leaves the process alone without a watchdog', async () => {
    const blocked = start('blocked', { blocksMs: LONG_MS, watchdog: false });
    await blocked.line(/^answers$/);
    await blocked.line(/^revoked$/);
    expect(blocked.hasExited).toBe(false);
  });
});

describe('when the event loop is blocked for less than a term lasts', () => {
  it('leaves the process alone, which leads on', async () => {
    const blocked = start('blocked', { blocksMs: 500 });
    await blocked.line(/^answers$/);
    await delay(LONG_MS);
    expect(blocked.hasExited).toBe(false);
    expect(blocked.lines.map(({ text }) => text)).not.toContain('revoked');
  });
});

describe('when the whole process has stood still for longer than its term', () => {
  it('leaves the process alone, which notices by itself that it no longer leads', async () => {
    const stopped = start('stopped', {});
    await stopped.line(/^answers$/);
    stopped.signal('SIGSTOP');
    await delay(LONG_MS);
    stopped.signal('SIGCONT');
    await stopped.line(/^revoked$/);
    await delay(4_000);
    expect(stopped.hasExited).toBe(false);
  });
});

describe('when the application is closed', () => {
  it('lets the process end by itself', async () => {
    const replica = start('replica', {});
    await replica.line(/^answers$/);
    replica.signal('SIGTERM');
    await replica.exited;
    expect(replica.crash).toBeUndefined();
  });
});
