import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';

const PROGRAM = fileURLToPath(
  new URL('../../.tools/test/e2e/support/cls-application.js', import.meta.url),
);

interface Report {
  readonly requests: readonly string[];
  readonly seen: Readonly<Record<string, readonly (string | null)[]>>;
}

it('when requests of nestjs-cls trigger a job and step down, nothing later carries their id', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM]);
  const { requests, seen } = JSON.parse(stdout) as Report;
  expect(new Set(requests).size).toBe(2);
  expect(Object.keys(seen).sort()).toEqual(['granted', 'interval', 'revoked', 'tick']);
  expect(seen['interval']!.length).toBeGreaterThan(1);
  expect(seen['tick']!.length).toBeGreaterThan(0);
  expect(
    Object.values(seen)
      .flat()
      .filter((id) => id !== null),
  ).toEqual([]);
});
