import type { IncomingMessage } from 'node:http';

const HOST = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/;
const ADDRESS = /^(?:127\.|::1$|::ffff:127\.)/;

/**
 * Whether a request comes from this machine and means it. A page from elsewhere whose name leads to 127.0.0.1 says its own
 * name as the host, and a page of another origin says that.
 */
export function isOfThisMachine({ socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>) {
  const { host, origin } = headers;
  if (host === undefined || !HOST.test(host) || !ADDRESS.test(socket.remoteAddress ?? ''))
    return false;
  return origin === undefined || origin === `http://${host}`;
}
