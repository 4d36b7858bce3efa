import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NodeProgram } from '../../proof/fleet/node-program.js';

const PROGRAM = fileURLToPath(
  new URL('../../.tools/test/e2e/support/plain-replica.js', import.meta.url),
);

let directory: string;
let workers: NodeProgram[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'plain-node-'));
  workers = [];
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  rmSync(directory, { recursive: true, force: true });
});

function start(name: string): NodeProgram {
  const worker = new NodeProgram({ name, program: PROGRAM, args: [name, directory] });
  workers.push(worker);
  return worker;
}

/** Two workers, of which the first leads. */
async function leaderAndStandby(): Promise<[NodeProgram, NodeProgram]> {
  const leader = start('worker-1');
  await leader.line(/^granted 1$/);
  const standby = start('worker-2');
  await standby.line(/^follows worker-1 \[reports\]$/);
  return [leader, standby];
}

function said(worker: NodeProgram, text: string): boolean {
  return worker.lines.some((line) => line.text === text);
}

describe('when two workers without Nest share a file lock, and run tasks of node-cron 4.6', () => {
  it('runs them on the leader, and on the other worker once that has been killed', async () => {
    const [leader, standby] = await leaderAndStandby();
    await leader.line(/^run ends$/);
    await standby.line(/^skipped not-elected$/);
    expect(said(standby, 'run begins')).toBe(false);
    await leader.kill();
    await standby.line(/^granted 2$/);
    await standby.line(/^run ends$/);
  });

  it('ends the run that is under way before the other worker becomes leader, and then by itself', async () => {
    const [leader, standby] = await leaderAndStandby();
    const { at: since } = await leader.line(/^skipped|^run begins$/);
    await leader.line(/^run begins$/, { since });
    leader.signal('SIGTERM');
    await leader.line(/^revoked shutdown$/);
    const { at: endedAt } = await leader.line(/^run ends$/, { since });
    const { at: grantedAt } = await standby.line(/^granted 2$/);
    await leader.line(/^stopped$/);
    await leader.exited;
    expect(leader.outcome).toBe(0);
    expect(grantedAt).toBeGreaterThanOrEqual(endedAt);
    const runs = leader.lines.filter(({ text }) => text.startsWith('run ')).map(({ text }) => text);
    expect(runs.at(-1)).toBe('run ends');
  });
});
