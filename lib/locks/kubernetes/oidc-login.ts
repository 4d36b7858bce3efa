import { LockRequestError } from '../../core/errors.js';
import { messageOf } from '../../core/thrown-value.js';
import type { ClientNode, KubeConfigLike } from './kubeconfig.loader.js';
import type { KubeconfigEntry } from './kubeconfig.js';
import { within } from './within.js';

/** A token endpoint answers in a second or two; what takes this long hangs. */
export const LOGIN_LIMIT_MS = 15_000;

/** The `auth-provider` oidc of a kubeconfig, whose tokens client-node renews. */
export class OidcLogin {
  private asking: Promise<string> | undefined;

  private constructor(
    private readonly provider: KubeconfigEntry,
    private readonly text: string,
    private readonly kubeConfig: KubeConfigLike,
    private readonly limitMs: number,
  ) {}

  /** The known one as long as the entry is the same: it may hold a newer token than the file. */
  static of(
    provider: KubeconfigEntry,
    known: OidcLogin | undefined,
    { KubeConfig }: ClientNode,
    limitMs = LOGIN_LIMIT_MS,
  ): OidcLogin {
    const name = provider.text('name');
    if (name !== 'oidc') {
      throw provider.fault('name', `is "${name}", which kubectl no longer knows either: use exec`);
    }
    const config = Object.fromEntries(provider.entry('config')?.allTexts() ?? []);
    const text = JSON.stringify(config);
    if (known?.text === text) return known;
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromOptions({
      clusters: [{ name: 'any', server: 'https://any', skipTLSVerify: false }],
      users: [{ name: 'any', authProvider: { name, config } }],
      contexts: [{ name: 'any', cluster: 'any', user: 'any' }],
      currentContext: 'any',
    });
    return new OidcLogin(provider, text, kubeConfig, limitMs);
  }

  token(): Promise<string> {
    this.asking ??= within(this.limitMs, this.ask(), () =>
      this.failure('gave no answer in time'),
    ).finally(() => (this.asking = undefined));
    return this.asking;
  }

  private async ask(): Promise<string> {
    const options: { headers?: Record<string, string> } = {};
    try {
      await this.kubeConfig.applyToHTTPSOptions(options);
    } catch (cause) {
      throw this.failure(messageOf(cause), cause);
    }
    const token = options.headers?.['Authorization']?.replace(/^Bearer /, '');
    if (token) return token;
    throw this.failure(
      'its id-token is missing or has expired, and without client-id, refresh-token and idp-issuer-url ' +
        'there is no other',
    );
  }

  private failure(why: string, cause?: unknown): LockRequestError {
    return new LockRequestError(
      `the OIDC login of the kubeconfig (${this.provider.where}) gives no token: ${why}. Log in again.`,
      { reason: 'unreachable', cause },
    );
  }
}
