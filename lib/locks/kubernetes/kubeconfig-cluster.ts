import { readFileSync } from 'node:fs';
import { LockRequestError } from '../../core/errors.js';
import { messageOf } from '../../core/thrown-value.js';
import type { ClusterTls } from './cluster-connection.js';
import type { KubeconfigEntry } from './kubeconfig.js';

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
  if (server === '') throw unusable(where, 'names no server');
  if (!/^https?:\/\//i.test(server)) {
    throw unusable(
      where,
      `its server "${server}" must begin with https:// (or http://, without credentials)`,
    );
  }
  if (!URL.canParse(server)) throw unusable(where, `its server "${server}" is not a URL`);
  const url = new URL(server);
  if (url.username !== '' || url.password !== '') {
    throw unusable(
      where,
      'the URL of its server holds a user or a password: they belong in the user entry',
    );
  }
  if (url.search !== '' || url.hash !== '') {
    throw unusable(where, `its server "${server}" must have no query and no fragment`);
  }
  return url;
}

function readServerTls(cluster: KubeconfigEntry): ClusterTls {
  const ca = dataOrFile(cluster, 'certificate-authority');
  const isInsecure = cluster.flag('insecure-skip-tls-verify');
  if (ca !== undefined && isInsecure) {
    throw cluster.fault('insecure-skip-tls-verify', 'excludes certificate-authority');
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
export function dataOrFile(entry: KubeconfigEntry, field: string): Buffer | undefined {
  const data = entry.bytes(`${field}-data`);
  const file = entry.path(field);
  if (file === '') return data;
  if (data !== undefined) throw entry.fault(field, `excludes ${field}-data`);
  return readEntryFile(entry, field);
}

/** Read anew each time, so that what is rotated is used at once. */
export function readEntryFile(entry: KubeconfigEntry, field: string): Buffer {
  try {
    return readFileSync(entry.path(field));
  } catch (error) {
    throw entry.fault(field, `cannot be read: ${messageOf(error)}`);
  }
}

function unusable(where: string, what: string): LockRequestError {
  return new LockRequestError(`the kubeconfig cannot be used: ${where}: ${what}.`, {
    reason: 'unreachable',
  });
}
