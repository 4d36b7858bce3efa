import type { Socket } from 'node:net';

/**
 * RST at once. Node's own `resetAndDestroy()` shuts the socket down first, and if that is destroyed in between, or was
 * being shut down before, libuv refuses the reset and the socket never says that it is closed.
 */
export function sendReset(socket: Socket): void {
  const isShuttingDown = socket.writableEnded && !socket.writableFinished;
  if (!isShuttingDown) Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}
