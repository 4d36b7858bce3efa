import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { LockRequestError } from '../../core/errors.js';
import { isJsonObject, type JsonDocument } from '../../core/json-document.js';
import { messageOf } from '../../core/thrown-value.js';
import type { ClusterTls } from '../http/socket-basics.js';
import { looksLikeCredential, urlWithoutSecrets } from '../redaction.js';

/** A kubeconfig as kubectl understands it. */
export interface Kubeconfig {
  /** Empty if no file names one. */
  readonly currentContext: string;
  readonly contexts: ReadonlyMap<string, KubeconfigEntry>;
  readonly clusters: ReadonlyMap<string, KubeconfigEntry>;
  readonly users: ReadonlyMap<string, KubeconfigEntry>;
}

export interface KubeconfigFile {
  readonly path: string;
  readonly content: unknown;
}

/**
 * Several files as one, by kubectl's rules: the first file that names a current context decides it, and the first that
 * defines a cluster, user or context of a name defines the whole of it.
 */
export function mergeKubeconfigs(files: readonly KubeconfigFile[]): Kubeconfig {
  const parsed = files.map(parseFile);
  const merged = (section: 'contexts' | 'clusters' | 'users') =>
    new Map(parsed.toReversed().flatMap((each) => [...each[section]]));
  return {
    currentContext:
      parsed.find(({ currentContext }) => currentContext !== '')?.currentContext ?? '',
    contexts: merged('contexts'),
    clusters: merged('clusters'),
    users: merged('users'),
  };
}

function parseFile({ path, content }: KubeconfigFile): Kubeconfig {
  if (!isJsonObject(content)) throw unusable(`${path} is not a kubeconfig`);
  const file = new KubeconfigEntry(path, content, dirname(path));
  const kind = file.text('kind') || 'Config';
  const apiVersion = file.text('apiVersion') || 'v1';
  if (kind !== 'Config' || apiVersion !== 'v1') {
    throw unusable(`${path} is not a kubeconfig but a ${kind} of ${apiVersion}`);
  }
  return {
    currentContext: file.text('current-context'),
    contexts: file.named('contexts', 'context'),
    clusters: file.named('clusters', 'cluster'),
    users: file.named('users', 'user'),
  };
}

/** A part of a kubeconfig, read with the types that kubectl demands. An absent field is empty, false or undefined. */
export class KubeconfigEntry {
  constructor(
    /** For messages: the file and the place in it. */
    readonly where: string,
    private readonly fields: JsonDocument,
    /** What relative paths start from. */
    private readonly directory: string,
  ) {}

  text(field: string): string {
    const value = this.fields[field] ?? '';
    if (typeof value !== 'string') throw this.fault(field, 'must be text');
    return value;
  }

  flag(field: string): boolean {
    const value = this.fields[field] ?? false;
    if (typeof value !== 'boolean') throw this.fault(field, 'must be true or false');
    return value;
  }

  texts(field: string): string[] {
    return this.list(field).map((value) => {
      if (typeof value !== 'string') throw this.fault(field, 'must be a list of strings');
      return value;
    });
  }

  /** Lists of texts by name. */
  textsByName(field: string): [name: string, values: string[]][] {
    const entry = this.entry(field);
    return entry === undefined
      ? []
      : Object.keys(entry.fields).map((name) => [name, entry.texts(name)]);
  }

  /** Every field, all being texts. */
  allTexts(): [name: string, value: string][] {
    return Object.keys(this.fields).map((name) => [name, this.text(name)]);
  }

  /** Base64 as Go reads it: anything else is refused. */
  bytes(field: string): Buffer | undefined {
    const text = this.text(field).replace(/[\r\n]/g, '');
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text) throw this.fault(field, 'must be base64');
    return text === '' ? undefined : bytes;
  }

  /** A path, relative ones to the folder of the file. */
  path(field: string): string {
    const path = this.text(field);
    return path === '' || isAbsolute(path) ? path : join(this.directory, path);
  }

  entry(field: string): KubeconfigEntry | undefined {
    const value = this.fields[field] ?? undefined;
    if (value === undefined) return undefined;
    if (!isJsonObject(value)) throw this.fault(field, 'must be an object');
    return new KubeconfigEntry(`${this.where}, ${field}`, value, this.directory);
  }

  entries(field: string): KubeconfigEntry[] {
    return this.list(field).map((value, index) => {
      if (!isJsonObject(value)) throw this.fault(field, 'must be a list of objects');
      return new KubeconfigEntry(`${this.where}, ${field}[${index}]`, value, this.directory);
    });
  }

  /** The content of a field whose form is not kubectl's business. */
  raw(field: string): unknown {
    return this.fields[field];
  }

  /** A list of objects with a name each, and what each holds in the field `of`. */
  named(field: string, of: string): Map<string, KubeconfigEntry> {
    const found = new Map<string, KubeconfigEntry>();
    for (const item of this.entries(field)) {
      const name = item.text('name');
      if (found.has(name)) throw this.fault(field, `has two entries named "${name}"`);
      const fields = item.entry(of)?.fields ?? {};
      found.set(
        name,
        new KubeconfigEntry(`${this.where}, ${of} "${name}"`, fields, this.directory),
      );
    }
    return found;
  }

  /** Stands in for an entry that is absent. */
  empty(): KubeconfigEntry {
    return new KubeconfigEntry(this.where, {}, this.directory);
  }

  fault(field: string, rule: string): LockRequestError {
    return unusable(`${this.where}: ${field} ${rule}`);
  }

  private list(field: string): unknown[] {
    const value = this.fields[field] ?? [];
    if (!Array.isArray(value)) throw this.fault(field, 'must be a list');
    return value;
  }
}

function unusable(what: string): LockRequestError {
  return new LockRequestError(`the kubeconfig cannot be used: ${what}.`, { reason: 'unreachable' });
}

export interface KubeconfigCluster {
  readonly server: URL;
  /** What is known of the server; empty for http. */
  readonly tls: ClusterTls;
  readonly proxyUrl?: string;
}

export function readCluster(cluster: KubeconfigEntry): KubeconfigCluster {
  const server = parseServer(cluster.text('server'), cluster.where);
  const proxyUrl = readProxyUrl(cluster);
  return {
    server,
    tls: server.protocol === 'https:' ? readServerTls(cluster) : {},
    ...(proxyUrl !== '' && { proxyUrl }),
  };
}

/**
 * Credentials go to https servers alone, so the scheme has to be written: kubectl takes a server without one for http.
 */
export function parseServer(server: string, where: string): URL {
  if (server === '') throw unusableCluster(where, 'names no server');
  const shown = urlWithoutSecrets(server);
  if (!/^https?:\/\//i.test(server)) {
    throw unusableCluster(
      where,
      `its server "${shown}" must begin with https:// (or http://, without credentials)`,
    );
  }
  if (!URL.canParse(server)) throw unusableCluster(where, `its server "${shown}" is not a URL`);
  const url = new URL(server);
  if (url.username !== '' || url.password !== '') {
    throw unusableCluster(
      where,
      'the URL of its server holds a user or a password: they belong in the user entry',
    );
  }
  if (url.search !== '' || url.hash !== '') {
    throw unusableCluster(where, `its server "${shown}" must have no query and no fragment`);
  }
  return url;
}

function readServerTls(cluster: KubeconfigEntry): ClusterTls {
  const ca = dataOrFile(cluster, 'certificate-authority');
  const isInsecure = cluster.flag('insecure-skip-tls-verify');
  if (ca !== undefined && isInsecure) {
    throw cluster.fault(
      'insecure-skip-tls-verify',
      'cannot be combined with certificate-authority',
    );
  }
  if (ca !== undefined && !ca.includes('-----BEGIN CERTIFICATE-----')) {
    throw cluster.fault('certificate-authority', 'holds no certificate in PEM');
  }
  const servername = cluster.text('tls-server-name');
  return {
    ...(ca !== undefined && { ca }),
    ...(isInsecure && { rejectUnauthorized: false }),
    ...(servername !== '' && { servername }),
  };
}

function readProxyUrl(cluster: KubeconfigEntry): string {
  const proxyUrl = cluster.text('proxy-url');
  if (proxyUrl === '' || /^https?:\/\/[^/]/i.test(proxyUrl)) return proxyUrl;
  throw cluster.fault(
    'proxy-url',
    'must begin with http:// or https://; a socks5 proxy, which kubectl can use, is not supported here',
  );
}

/** The content of `<field>-data`, or of the file that `<field>` names; both together are a mistake, as for kubectl. */
function dataOrFile(entry: KubeconfigEntry, field: string): Buffer | undefined {
  const data = entry.bytes(`${field}-data`);
  const file = entry.path(field);
  if (file === '') return data;
  if (data !== undefined) throw entry.fault(field, `cannot be combined with ${field}-data`);
  return readEntryFile(entry, field);
}

/** Read again each time, so that a rotated file is used at once. */
function readEntryFile(entry: KubeconfigEntry, field: string): Buffer {
  if (looksLikeCredential(entry.text(field))) {
    const place = field === 'tokenFile' ? 'token' : `${field}-data`;
    throw entry.fault(
      field,
      `must be a path, and is the credential itself: write it into ${place}`,
    );
  }
  try {
    return readFileSync(entry.path(field));
  } catch (error) {
    throw entry.fault(field, `cannot be read: ${messageOf(error)}`);
  }
}

function unusableCluster(where: string, what: string): LockRequestError {
  return new LockRequestError(`the kubeconfig cannot be used: ${where}: ${what}.`, {
    reason: 'unreachable',
  });
}

export type Headers = Readonly<Record<string, string | readonly string[]>>;

/** What the entry of a user holds itself. */
export interface OwnCredentials {
  readonly headers: Headers;
  readonly tls: Pick<ClusterTls, 'cert' | 'key'>;
}

/** The first of token file, token, and user with password; a client certificate may come beside them. */
export function readOwnCredentials(user: KubeconfigEntry): OwnCredentials {
  const token = user.text('token');
  const [username, password] = [user.text('username'), user.text('password')];
  if (token !== '' && (username !== '' || password !== '')) {
    throw user.fault('token', 'cannot be combined with username and password');
  }
  return { headers: authorization(user, token, username, password), tls: clientCertificate(user) };
}

function authorization(
  user: KubeconfigEntry,
  token: string,
  username: string,
  password: string,
): Headers {
  const fromFile = tokenFromFile(user, token);
  if (fromFile !== '' && username !== '')
    throw user.fault('tokenFile', 'cannot be combined with username');
  if (fromFile !== '') return { Authorization: `Bearer ${fromFile}` };
  if (username === '') return {};
  const basic = Buffer.from(`${username}:${password}`).toString('base64');
  return { Authorization: `Basic ${basic}` };
}

/** A file takes precedence over the token of the entry, which counts as long as there is no file. */
function tokenFromFile(user: KubeconfigEntry, token: string): string {
  if (user.text('tokenFile') === '') return token;
  try {
    const fromFile = readEntryFile(user, 'tokenFile').toString('utf8').trim();
    if (fromFile !== '') return fromFile;
  } catch (error) {
    if (token === '') throw error;
  }
  if (token === '') throw user.fault('tokenFile', 'is empty');
  return token;
}

function clientCertificate(user: KubeconfigEntry): Pick<ClusterTls, 'cert' | 'key'> {
  const cert = dataOrFile(user, 'client-certificate');
  if (cert === undefined) return {};
  const key = dataOrFile(user, 'client-key');
  if (key === undefined) throw user.fault('client-certificate', 'needs a client-key as well');
  return { cert, key };
}

/** Whom to act as; sent to http servers too, as kubectl does. */
export function impersonation(user: KubeconfigEntry): Headers {
  const name = user.text('as');
  const uid = user.text('as-uid');
  const groups = user.texts('as-groups');
  const extra = user.textsByName('as-user-extra');
  if (name === '') {
    if (uid === '' && groups.length === 0 && extra.length === 0) return {};
    throw user.fault(
      'as-uid, as-groups and as-user-extra',
      'need a user to act as, in the field as',
    );
  }
  return {
    'Impersonate-User': name,
    ...(uid !== '' && { 'Impersonate-Uid': uid }),
    ...(groups.length > 0 && { 'Impersonate-Group': groups }),
    ...Object.fromEntries(
      extra.map(([key, values]) => [`Impersonate-Extra-${escapeHeaderName(key)}`, values]),
    ),
  };
}

/** Percent-encodes what a header's name cannot hold, byte by byte, as client-go does. */
function escapeHeaderName(name: string): string {
  return [...Buffer.from(name)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[!#$&'*+.^_`|~0-9A-Za-z-]/.test(char)
        ? char
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}
