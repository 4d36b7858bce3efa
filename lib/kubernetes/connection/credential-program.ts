import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { sep } from 'node:path';
import type { Readable } from 'node:stream';
import { LockRequestError } from '../../core/errors.js';
import { isJsonObject } from '../../core/json-document.js';
import { bareError, redact, withoutCredentials } from '../redaction.js';
import type { KubeconfigEntry } from './kubeconfig.js';

/** What a program gives: a token, or a certificate with its key, or both. */
export interface ProgramCredentials {
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** The `exec` of a kubeconfig's user, checked as kubectl checks it. */
export interface CredentialProgramConfig {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly apiVersion: string;
  readonly installHint: string;
  /** What the program is given about the cluster, if the kubeconfig asks for that. */
  readonly cluster?: object | undefined;
}

const API_GROUP = 'client.authentication.k8s.io';
const API_VERSIONS = [`${API_GROUP}/v1`, `${API_GROUP}/v1beta1`];

export function readProgramConfig(
  exec: KubeconfigEntry,
  describeCluster: () => object,
): CredentialProgramConfig {
  const command = exec.text('command').includes(sep) ? exec.path('command') : exec.text('command');
  if (command === '') throw exec.fault('command', 'is missing');
  const apiVersion = exec.text('apiVersion');
  if (!API_VERSIONS.includes(apiVersion)) {
    throw exec.fault('apiVersion', `must be one of ${API_VERSIONS.join(', ')}`);
  }
  const mode =
    exec.text('interactiveMode') || (apiVersion.endsWith('/v1beta1') ? 'IfAvailable' : '');
  if (mode === 'Always') {
    throw exec.fault(
      'interactiveMode',
      'is Always, and there is no terminal here: log in another way',
    );
  }
  if (mode !== 'Never' && mode !== 'IfAvailable') {
    throw exec.fault('interactiveMode', 'must be Never, IfAvailable or Always');
  }
  const variables = exec.entries('env').map((variable): [string, string] => {
    if (variable.text('name') === '') throw variable.fault('name', 'is missing');
    return [variable.text('name'), variable.text('value')];
  });
  return {
    command,
    args: exec.texts('args'),
    env: Object.fromEntries(variables),
    apiVersion,
    installHint: exec.text('installHint').trim(),
    cluster: exec.flag('provideClusterInfo') ? describeCluster() : undefined,
  };
}

/** Programs that ask a cloud for a token take a second or two; what takes this long hangs. */
const PROGRAM_LIMIT_MS = 15_000;
/**
 * Credentials are renewed this long before they expire, or in the last quarter of a shorter life. Meanwhile requests
 * use the present ones.
 */
const RENEW_AHEAD_MS = 60_000;
const MAX_OUTPUT_CHARS = 1024 * 1024;

/**
 * A program that gives credentials (`exec` of a kubeconfig). It runs when there are none or they have expired, once for
 * all who wait. If it gives no answer in time it is killed with its children, and the next request starts it again.
 */
export class CredentialProgram {
  private last: (Answer & { readonly renewAt: number }) | undefined;
  private run: Run | undefined;
  /** The expiry ahead of which a renewal was tried: once, as a program may give the same ones up to their end. */
  private renewedAheadOf = 0;

  constructor(
    readonly config: CredentialProgramConfig,
    private readonly limitMs: number = PROGRAM_LIMIT_MS,
    private readonly epochMs: () => number = Date.now,
  ) {}

  credentials(): Promise<ProgramCredentials> {
    const now = this.epochMs();
    if (this.last === undefined || this.last.expiresAt < now) return this.ask();
    if (this.last.renewAt <= now && this.last.expiresAt !== this.renewedAheadOf) {
      this.renewedAheadOf = this.last.expiresAt;
      // If this fails, so will the run after they have expired, and that one is reported.
      this.ask().catch(() => undefined);
    }
    return Promise.resolve(this.last.credentials);
  }

  /** Its credentials were refused. A run under way is newer and still counts. */
  forget(): void {
    this.last = undefined;
  }

  close(): void {
    this.run?.kill('the lock was closed');
  }

  private ask(): Promise<ProgramCredentials> {
    this.run ??= this.start();
    return this.run.answer;
  }

  private start(): Run {
    const { output, kill } = runProgram(this.config, this.limitMs);
    const answer = output
      .then((text) => {
        const { credentials, expiresAt } = parseAnswer(this.config, text);
        const lifeMs = expiresAt - this.epochMs();
        const renewAt = expiresAt - Math.min(RENEW_AHEAD_MS, lifeMs / 4);
        this.last = { credentials, expiresAt, renewAt };
        return credentials;
      })
      .finally(() => (this.run = undefined));
    return { answer, kill };
  }
}

interface Run {
  readonly answer: Promise<ProgramCredentials>;
  readonly kill: (why: string) => void;
}

interface Answer {
  readonly credentials: ProgramCredentials;
  readonly expiresAt: number;
}

function runProgram(
  config: CredentialProgramConfig,
  limitMs: number,
): { output: Promise<string>; kill: (why: string) => void } {
  let kill: (why: string) => void = () => undefined;
  const output = new Promise<string>((resolve, reject) => {
    const child = spawnProgram(config);
    const written = collectOutput(child, config, () => kill('wrote more than a credential can be'));
    kill = (why) => {
      clearTimeout(timer);
      killGroup(child);
      // A grandchild that has left the group may hold these open.
      child.stdout.destroy();
      child.stderr.destroy();
      reject(failure(config, `${why}, and it was killed`, written.complaint));
    };
    const timer = setTimeout(() => kill(`gave no credentials within ${limitMs} ms`), limitMs);
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const { installHint } = config;
      const hint = error.code === 'ENOENT' && installHint !== '' ? ` ${installHint}` : '';
      // The error itself holds the arguments, which may be secrets.
      const cause = bareError(error);
      reject(failure(config, `cannot be started: ${cause.message}`, hint, cause));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(written.text);
      reject(failure(config, `ended with ${signal ?? `exit code ${code}`}`, written.complaint));
    });
  });
  return { output, kill: (why) => kill(why) };
}

type Program = ChildProcessByStdio<null, Readable, Readable>;

function spawnProgram(config: CredentialProgramConfig): Program {
  const { command, args, env } = config;
  return spawn(command, args, {
    env: { ...process.env, ...env, KUBERNETES_EXEC_INFO: execInfo(config) },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own: a shell script is killed with what it has started.
    detached: process.platform !== 'win32',
    windowsHide: true,
  });
}

/** What the program writes, as far as it has: to stdout, and the end of what it writes to stderr. */
function collectOutput(
  { stdout, stderr }: Program,
  config: CredentialProgramConfig,
  onTooMuch: () => void,
): { readonly text: string; readonly complaint: string } {
  let complaint = '';
  const written = {
    text: '',
    /** Shortened last: of a secret that was cut off, the rest is no longer known as one. */
    get complaint() {
      const secrets = [...secretsOf(config), ...tokensIn(written.text)];
      return withoutCredentials(redact(complaint, secrets)).slice(-MAX_COMPLAINT_CHARS);
    },
  };
  stdout.setEncoding('utf8').on('data', (text: string) => {
    written.text += text;
    if (written.text.length > MAX_OUTPUT_CHARS) onTooMuch();
  });
  stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-MAX_OUTPUT_CHARS);
  });
  return written;
}

const MAX_COMPLAINT_CHARS = 500;
const NAME_OF_SECRET = /token|secret|password|passphrase|key/i;

/** What the kubeconfig gives the program under a name that says so: `--client-secret=…`, `--token …`, a variable. */
function secretsOf({ args, env }: CredentialProgramConfig): string[] {
  const variables = Object.entries(env).filter(([name]) => NAME_OF_SECRET.test(name));
  const flags = args.flatMap((arg, index) => {
    const [name = '', ...rest] = arg.split('=');
    if (!name.startsWith('-') || !NAME_OF_SECRET.test(name)) return [];
    return rest.length > 0 ? rest.join('=') : (args[index + 1] ?? []);
  });
  return [...variables.map(([, value]) => value), ...flags];
}

/** Of a program that fails all the same. */
function tokensIn(text: string): string[] {
  return [...text.matchAll(/"token"\s*:\s*"([^"]+)"/g)].map(([, token]) => token!);
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid === undefined || process.platform === 'win32') child.kill('SIGKILL');
    else process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** To the byte what kubectl gives, line end included. */
function execInfo({ apiVersion, cluster }: CredentialProgramConfig): string {
  const spec = { ...(cluster && { cluster }), interactive: false };
  return `${JSON.stringify({ kind: 'ExecCredential', apiVersion, spec })}\n`;
}

function parseAnswer(config: CredentialProgramConfig, text: string): Answer {
  const { apiVersion, kind, status } = parseObject(config, text);
  if (kind !== 'ExecCredential' || apiVersion !== config.apiVersion) {
    const what = `${shown(kind)} of ${shown(apiVersion)}`;
    throw failure(config, `gave ${what} and not an ExecCredential of ${config.apiVersion}`);
  }
  const { token, clientCertificateData, clientKeyData, expirationTimestamp } = isJsonObject(status)
    ? status
    : {};
  if (!(isFilled(token) || isFilled(clientCertificateData) || isFilled(clientKeyData))) {
    throw failure(config, 'gave no token and no certificate');
  }
  if (isFilled(clientCertificateData) !== isFilled(clientKeyData)) {
    throw failure(config, 'gave a certificate or a key without the other');
  }
  const expiresAt =
    expirationTimestamp === undefined || expirationTimestamp === null
      ? Number.POSITIVE_INFINITY
      : Date.parse(shown(expirationTimestamp));
  if (Number.isNaN(expiresAt)) {
    throw failure(
      config,
      `gave an expirationTimestamp that is not a time: ${shown(expirationTimestamp)}`,
    );
  }
  return {
    expiresAt,
    credentials: {
      ...(isFilled(token) && { token }),
      ...(isFilled(clientCertificateData) && { cert: clientCertificateData }),
      ...(isFilled(clientKeyData) && { key: clientKeyData }),
    },
  };
}

function parseObject(config: CredentialProgramConfig, text: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(text);
    if (isJsonObject(json)) return json;
  } catch {
    // The text may hold credentials, so nothing of it is shown.
  }
  throw failure(config, 'did not write a JSON object');
}

function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function shown(value: unknown): string {
  return typeof value === 'string' ? withoutCredentials(value).slice(0, 100) : 'nothing';
}

function failure(
  { command }: CredentialProgramConfig,
  what: string,
  details = '',
  cause?: unknown,
): LockRequestError {
  const said = details.trim() === '' ? '' : ` ${details.trim()}`;
  return new LockRequestError(
    `the program that the kubeconfig names for credentials (exec: ${command}) ${what}.${said}`,
    { reason: 'unreachable', cause },
  );
}
