import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the kubelet mounts it, which none of the contenders asks for. */
const MOUNTED = '/run/secrets/kubernetes.io/serviceaccount';

const MOUNT = `mount -t tmpfs service-account /run && mkdir -p ${MOUNTED} && cp "$0"/* ${MOUNTED}/ && exec "$@"`;

/** Root needs no namespace of users, in which it would be root too. */
const UNSHARE = process.getuid?.() === 0 ? ['unshare', '--mount'] : ['unshare', '-U', '-r', '-m'];

/** What a container of a pod has: the environment of the API server, and the files of its service account at their place. */
export class Pod {
  /** False where this system lets nobody put files at a place that others do not see. */
  static isPossible(): boolean {
    const [command, ...args] = [...UNSHARE, 'mount', '-t', 'tmpfs', 'service-account', '/run'];
    return process.platform === 'linux' && spawnSync(command!, args).status === 0;
  }

  readonly env: NodeJS.ProcessEnv;
  private readonly folder = mkdtempSync(join(tmpdir(), 'service-account-'));

  constructor(
    port: number,
    files: { readonly token: string; readonly ca: string },
    namespace: string,
  ) {
    this.env = {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(port),
      POD_NAMESPACE: namespace,
    };
    const mounted = { token: files.token, 'ca.crt': files.ca, namespace };
    for (const [name, text] of Object.entries(mounted)) {
      writeFileSync(join(this.folder, name), text, { mode: 0o600 });
    }
  }

  /** The command that runs this one in the container. */
  around(command: readonly string[]): string[] {
    return [...UNSHARE, 'sh', '-c', MOUNT, this.folder, ...command];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
