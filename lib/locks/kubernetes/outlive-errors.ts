import type { Duplex } from 'node:stream';

/**
 * A socket can fail at moments when nobody listens: between its event and its first request, which takes some turns of
 * the promise queue, and after its last. Requests tell what becomes of them; an error that no listener takes would end
 * the whole process.
 */
export function outliveErrors(socket: Duplex): void {
  socket.on('error', () => undefined);
}
