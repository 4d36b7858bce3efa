import { BlockList, isIP } from 'node:net';
import { hostAndPort, type ClusterAccess } from './cluster-connection.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for an API server, if any: the kubeconfig's `proxy-url`, else HTTPS_PROXY (HTTP_PROXY for an http://
 * server) unless NO_PROXY exempts the server, in upper or lower case. The rules are those of kubectl and client-go,
 * so that one environment means the same to all.
 */
export function proxyFor(access: ClusterAccess, env: Environment): URL | undefined {
  if (access.proxyUrl !== undefined && access.proxyUrl !== '') return proxyUrl(access.proxyUrl);
  const { hostname, port } = hostAndPort(access.server);
  const name = access.server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const configured = env[name] || env[name.toLowerCase()];
  if (!configured || isLoopback(hostname)) return undefined;
  const exempt = env['NO_PROXY'] || env['no_proxy'] || '';
  return isExempt(hostname, port, exempt) ? undefined : proxyUrl(configured);
}

/** For messages: where the proxy comes from, and how to do without it. */
export function describeProxySetting(access: ClusterAccess): { where: string; wayOut: string } {
  if (access.proxyUrl) {
    return { where: 'proxy-url in the kubeconfig', wayOut: 'remove it from the cluster entry' };
  }
  const name = access.server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  return { where: `${name} in the environment`, wayOut: 'exempt the API server in NO_PROXY' };
}

function proxyUrl(text: string): URL {
  const withScheme = text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(withScheme))
    throw new Error('the URL of the configured proxy cannot be parsed');
  return new URL(withScheme);
}

/** Entries are `*`, a domain (which covers its sub-domains), `.domain`, an address, a CIDR; each with `:port` or not. */
function isExempt(hostname: string, port: number, list: string): boolean {
  return list
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .some((entry) => matches(entry, hostname.toLowerCase(), port));
}

function matches(entry: string, hostname: string, port: number): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return inSubnet(entry, hostname);
  const portMatch = isIP(entry) === 6 ? null : /^(.*):(\d+)$/.exec(entry);
  if (portMatch !== null && Number(portMatch[2]) !== port) return false;
  const host = (portMatch?.[1] ?? entry).replace(/^\[|\]$/g, '').replace(/^\*/, '');
  if (host.startsWith('.')) return hostname.endsWith(host);
  return hostname === host || (isIP(hostname) === 0 && hostname.endsWith(`.${host}`));
}

function inSubnet(entry: string, hostname: string): boolean {
  const [network = '', bits = ''] = entry.split('/');
  const version = isIP(hostname);
  if (version === 0 || version !== isIP(network)) return false;
  const prefix = Number(bits);
  if (!/^\d+$/.test(bits) || prefix > (version === 4 ? 32 : 128)) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const subnet = new BlockList();
  subnet.addSubnet(network, prefix, family);
  return subnet.check(hostname, family);
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || matches('127.0.0.0/8', hostname, 0) || hostname === '::1';
}
