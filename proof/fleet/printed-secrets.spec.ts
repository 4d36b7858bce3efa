import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { issuedSecret, takePrintedSecrets } from '../control-plane/printed-secrets.js';
import { NodeProgram } from './node-program.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'printed-'))));
afterEach(() => rmSync(folder, { recursive: true }));

async function printed(line: string, stream: 'stdout' | 'stderr'): Promise<string[]> {
  const program = join(folder, 'program.mjs');
  writeFileSync(program, `process.${stream}.write(${JSON.stringify(`${line}\n`)});`);
  const replica = new NodeProgram({ name: 'replica', program });
  await replica.line(/./);
  await replica.exited;
  return takePrintedSecrets();
}

describe('when a process of a fleet prints', () => {
  it.each([
    `it was ${issuedSecret('0123456789abcdef')} that failed`,
    'got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln',
    '{"message":"Authorization: Bearer 0a1b2c3d"}',
    '-----BEGIN RSA PRIVATE KEY-----',
  ])('a credential, the end-to-end tests learn of it: %s', async (line) => {
    for (const stream of ['stdout', 'stderr'] as const) {
      expect(await printed(line, stream)).toEqual([`replica printed a credential: ${line}`]);
    }
  });

  it('no credential, they learn of nothing', async () => {
    const line = 'the token file /run/token (subject eyJ; expires 2026-01-02) is no Bearer token';
    expect(await printed(line, 'stderr')).toEqual([]);
  });
});
