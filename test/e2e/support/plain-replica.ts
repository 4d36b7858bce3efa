/** A worker without Nest, with a task of node-cron that runs each second on the leader and takes a while. */
import { setTimeout as sleep } from 'node:timers/promises';
import cron from 'node-cron';
import { createLeaderElection, fileLock } from 'nestjs-leader-election/core';

const RUN_MS = 700;
const [identity, directory] = process.argv.slice(2);

const election = await createLeaderElection({
  role: 'reports',
  identity: identity!,
  lock: fileLock({ directory: directory! }),
  logger: console,
});
election.on('granted', (term) => console.log(`granted ${term.number}`));
election.on('revoked', (_, reason) => console.log(`revoked ${reason}`));

const task = cron.schedule(
  '* * * * * *',
  async () => {
    console.log('run begins');
    await sleep(RUN_MS);
    console.log('run ends');
  },
  { name: 'report', distributed: true, runCoordinator: election.runCoordinator() },
);
task.on('execution:skipped', ({ reason }) => console.log(`skipped ${reason}`));

process.once('SIGTERM', () => {
  void election.stop().then(() => {
    console.log('stopped');
    return task.destroy();
  });
});
election.start();
