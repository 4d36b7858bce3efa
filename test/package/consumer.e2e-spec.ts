import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ControlPlane } from '../support/control-plane/control-plane.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const CONSUMERS = ['esm-nest-12', 'cjs-nest-11'];

let folder: string;
let tarball: string;
let server: ControlPlane;

beforeAll(async () => {
  server = await ControlPlane.start();
  folder = mkdtempSync(join(tmpdir(), 'consumers-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: root,
  });
  tarball = join(folder, (JSON.parse(stdout) as { filename: string }[])[0]!.filename);
}, 900_000);

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(CONSUMERS)(
  'when the packed tarball is installed in the fresh application %s',
  (name) => {
    let consumer: string;

    beforeAll(async () => {
      consumer = join(folder, name);
      const fixtures = join(root, 'test', 'package', 'consumers');
      cpSync(join(fixtures, name), consumer, { recursive: true });
      cpSync(join(fixtures, 'app.ts'), join(consumer, 'app.ts'));
      await run('npm', ['install', '--no-audit', '--no-fund', tarball], { cwd: consumer });
      // The types are checked too, those of the library included.
      await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], {
        cwd: consumer,
      });
    }, 300_000);

    const expected = ['granted 1 bigint', 'tick', 'revoked 1 shutdown'];

    it('leads, ticks and hands over in memory', async () => {
      const { stdout } = await run(process.execPath, ['out/app.js'], { cwd: consumer });
      expect(JSON.parse(stdout)).toEqual(expected);
    }, 60_000);

    it('does so on a real API server through its own version of client-node', async () => {
      const namespace = `consumer-${name}`;
      await server.createNamespace(namespace);
      const env = {
        ...process.env,
        CONSUMER_KUBECONFIG: server.kubeconfigFor(server.adminToken, namespace),
      };
      const { stdout } = await run(process.execPath, ['out/app.js'], { cwd: consumer, env });
      expect(JSON.parse(stdout)).toEqual(expected);
      const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/consumer`;
      const { body } = await server.request('GET', path);
      expect(body.spec).toMatchObject({ holderIdentity: '', leaseTransitions: 1 });
    }, 60_000);
  },
);
