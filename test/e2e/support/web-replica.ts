import { fileURLToPath } from 'node:url';
import { findFreePort } from '../../../proof/control-plane/free-port.js';
import { NodeProgram } from '../../../proof/fleet/node-program.js';
import type { WebSettings } from './web-application.js';

const PROGRAM = fileURLToPath(
  new URL('../../../.tools/test/e2e/support/web-application.js', import.meta.url),
);

/** A process of `web-application`. */
export class WebReplica extends NodeProgram {
  static async start(
    name: string,
    settings: Omit<WebSettings, 'identity' | 'port'>,
  ): Promise<WebReplica> {
    return new WebReplica({ ...settings, identity: name, port: await findFreePort() });
  }

  private constructor(private readonly settings: WebSettings) {
    super({
      name: settings.identity,
      program: PROGRAM,
      env: { WEB_SETTINGS: JSON.stringify(settings) },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.settings.port}`;
  }
}
