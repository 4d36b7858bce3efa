import type { ClusterTls } from './cluster-connection.js';
import { dataOrFile, readEntryFile } from './kubeconfig-cluster.js';
import type { KubeconfigEntry } from './kubeconfig.js';

export type Headers = Readonly<Record<string, string | readonly string[]>>;

/** What the entry of a user holds itself. */
export interface OwnCredentials {
  readonly headers: Headers;
  readonly tls: Pick<ClusterTls, 'cert' | 'key'>;
}

/** The first of token file, token, and user with password; and a client certificate, which may come beside them. */
export function readOwnCredentials(user: KubeconfigEntry): OwnCredentials {
  const token = user.text('token');
  const [username, password] = [user.text('username'), user.text('password')];
  if (token !== '' && (username !== '' || password !== '')) {
    throw user.fault('token', 'excludes username and password');
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
  if (fromFile !== '' && username !== '') throw user.fault('tokenFile', 'excludes username');
  if (fromFile !== '') return { Authorization: `Bearer ${fromFile}` };
  if (username === '') return {};
  const basic = Buffer.from(`${username}:${password}`).toString('base64');
  return { Authorization: `Basic ${basic}` };
}

/** A file goes before the token of the entry, which counts as long as there is none to read. */
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
