import { request as requestOverTcp } from 'node:http';
import { request as requestOverTls } from 'node:https';
import type { Socket } from 'node:net';
import { outliveErrors } from './outlive-errors.js';
import { ProxyFailure } from './transport-failure.js';

export interface TunnelTarget {
  readonly hostname: string;
  readonly port: number;
  readonly signal: AbortSignal;
  /** For messages: where the proxy comes from, and how to do without it. */
  readonly setting: { readonly where: string; readonly wayOut: string };
}

/** A TCP connection to the target through an HTTP proxy (CONNECT). Nothing of the request has been sent yet. */
export function openTunnel(proxy: URL, target: TunnelTarget): Promise<Socket> {
  const { signal, setting } = target;
  const host = target.hostname.includes(':') ? `[${target.hostname}]` : target.hostname;
  const authority = `${host}:${target.port}`;
  const named = `proxy ${proxy.protocol}//${proxy.host}`;
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') {
    const text = `${named}: only http:// and https:// proxies are supported; name such a one, or ${setting.wayOut}`;
    return Promise.reject(new ProxyFailure(text, setting.where));
  }
  return new Promise((resolve, reject) => {
    const request = (proxy.protocol === 'https:' ? requestOverTls : requestOverTcp)({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : Number(proxy.port),
      method: 'CONNECT',
      path: authority,
      agent: false,
      headers: { Host: authority, ...proxyAuthorization(proxy) },
    });
    const abort = () => request.destroy(signal.reason as Error);
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
      reject(new ProxyFailure(`${named}: ${error.message}`, setting.where, error)),
    );
    request.on('close', () => signal.removeEventListener('abort', abort));
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    request.end();
  });
}

function proxyAuthorization(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {};
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}
