import { type ClientRequest, request as requestOverTcp } from 'node:http';
import { request as requestOverTls } from 'node:https';
import { BlockList, isIP, type Socket } from 'node:net';
import { onAbort } from '../../core/abort-signal.js';
import type { Environment } from '../../core/environment.js';
import { withoutPacket } from '../redaction.js';
import { type ClusterAccess, hostAndPort, outliveErrors } from './socket-basics.js';

/**
 * The proxy for an API server, if any: the kubeconfig's `proxy-url`, otherwise HTTPS_PROXY (HTTP_PROXY for an http://
 * server) unless NO_PROXY exempts the server, in upper or lower case. The rules are those of kubectl and client-go, so
 * that one environment means the same to all of them.
 */
export function proxyFor(access: ClusterAccess, env: Environment): URL | undefined {
  if (access.proxyUrl !== undefined && access.proxyUrl !== '') return proxyUrl(access.proxyUrl);
  const { hostname, port } = hostAndPort(access.server);
  const isTls = access.server.protocol === 'https:';
  const configured = isTls
    ? env['HTTPS_PROXY'] || env['https_proxy']
    : env['HTTP_PROXY'] || env['http_proxy'];
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

/** A failure in the proxy or on the way to it, so the messages about the API server do not apply. */
export class ProxyFailure extends Error {
  constructor(message: string, setting: string, cause?: unknown) {
    super(`${message}. The proxy is the one of ${setting}`, { cause });
    this.name = 'ProxyFailure';
  }
}

export interface TunnelTarget {
  readonly hostname: string;
  readonly port: number;
  readonly signal: AbortSignal;
  /** For messages: where the proxy comes from, and how to do without it. */
  readonly setting: { readonly where: string; readonly wayOut: string };
}

/** A TCP connection to the target through an HTTP proxy (CONNECT). Nothing of the request has been sent yet. */
export function openTunnel(proxy: URL, target: TunnelTarget): Promise<Socket> {
  const { setting } = target;
  const named = `proxy ${proxy.protocol}//${proxy.host}`;
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') {
    const text = `${named}: only http:// and https:// proxies are supported; use one of these, or ${setting.wayOut}`;
    return Promise.reject(new ProxyFailure(text, setting.where));
  }
  const authority = authorityOf(target);
  return new Promise((resolve, reject) => {
    const request = connectRequest(proxy, authority);
    const refuse = (status: number | undefined) => {
      request.destroy();
      reject(
        new ProxyFailure(`${named} answered ${status} to CONNECT ${authority}`, setting.where),
      );
    };
    request.on('connect', (response, socket: Socket, head) => {
      outliveErrors(socket);
      if (response.statusCode !== 200) {
        socket.destroy();
        refuse(response.statusCode);
        return;
      }
      if (head.length > 0) socket.unshift(head);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, 15_000);
      resolve(socket);
    });
    request.on('response', (response) => refuse(response.statusCode));
    request.on('error', (error: Error) =>
      reject(new ProxyFailure(`${named}: ${error.message}`, setting.where, withoutPacket(error))),
    );
    const { signal } = target;
    request.on(
      'close',
      onAbort(signal, () => request.destroy(signal.reason as Error)),
    );
    request.end();
  });
}

function authorityOf({ hostname, port }: TunnelTarget): string {
  return `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`;
}

function connectRequest(proxy: URL, authority: string): ClientRequest {
  const isTls = proxy.protocol === 'https:';
  return (isTls ? requestOverTls : requestOverTcp)({
    host: proxy.hostname.replace(/^\[|\]$/g, ''),
    port: proxy.port === '' ? (isTls ? 443 : 80) : Number(proxy.port),
    method: 'CONNECT',
    path: authority,
    agent: false,
    headers: { Host: authority, ...proxyAuthorization(proxy) },
  });
}

function proxyAuthorization(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {};
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}
