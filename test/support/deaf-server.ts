import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A server whose kernel drops handshakes: its process never accepts, and its queue is full. */
export async function startDeafServer(): Promise<{ port: number; stop(): void }> {
  const program = `
    const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = Number(String((await once(child.stdout, 'data'))[0]));
  const queue = Array.from({ length: 4 }, () => connect(port, '127.0.0.1'));
  for (const socket of queue) socket.on('error', () => undefined);
  await once(queue[0] as Socket, 'connect');
  return {
    port,
    stop: () => {
      for (const socket of queue) socket.destroy();
      child.kill('SIGKILL');
    },
  };
}
