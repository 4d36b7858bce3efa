import { NestFactory } from '@nestjs/core';
import type { ReplicaOrder } from './messages.js';
import { report } from './report.js';
import { ReplicaModule } from './replica.module.js';
import { simulatedNetwork } from './simulated-network.js';

/** One replica of `npm start`: the sample, which says what it does and lets itself be disturbed. */
const app = await NestFactory.create(ReplicaModule, { logger: ['error', 'warn', 'log'] });
app.enableShutdownHooks();
process.on('message', (order: ReplicaOrder) => obey(order));
await app.listen(0, '127.0.0.1');
report({ kind: 'listening', url: `${await app.getUrl()}/leader` });
// Do not outlive a parent that was killed.
process.once('disconnect', () => void app.close());

function obey(order: ReplicaOrder): void {
  switch (order.order) {
    case 'cut':
      return simulatedNetwork.cut();
    case 'heal':
      return simulatedNetwork.heal();
    case 'block':
      block(order.ms);
      return report({ kind: 'unblocked' });
  }
}

/** As a computation does that never awaits. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
