/**
 * One process in a written pod, which tells on standard output when it becomes leader and when no longer, by the monotonic clock.
 * Settings come in the environment, see `ProfileReplicaSettings`.
 */
import { randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeadershipService } from '../../lib/index.js';
import type { ElectionProfile } from '../../lib/core/election-options.js';
// One copy of the library with what is not public of it: the locks are told by their class.
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { leaseLockIn } from '../../lib/locks/kubernetes/lease.lock.js';
import { monotonicMs } from '../fleet/monotonic-clock.js';

/** What a replica is told in `PROFILE_REPLICA`. */
export interface ProfileReplicaSettings {
  readonly profile: ElectionProfile;
  readonly leaseName: string;
  readonly kubeConfigFile: string;
  readonly podName: string;
  readonly podUid: string;
}

const { profile, leaseName, kubeConfigFile, podName, podUid } = JSON.parse(
  process.env['PROFILE_REPLICA']!,
) as ProfileReplicaSettings;

// Written at once: a process that is killed the next moment has still told.
const tell = (event: string): number => writeSync(1, `${event} ${monotonicMs()}\n`);

const environment = new PodEnvironment({ POD_NAME: podName, POD_UID: podUid }, '/nowhere');
const app = await NestFactory.createApplicationContext(
  {
    module: class Replica {},
    imports: [
      LeaderElectionModule.forRoot({
        role: 'plans',
        leaseName,
        identity: `${podName}_${randomUUID()}`,
        profile,
        lock: leaseLockIn(environment, { kubeConfigFile }),
        members: true,
        podWatch: true,
      }),
    ],
  },
  { logger: ['warn', 'error'] },
);
const leadership = app.get(LeadershipService);
leadership.granted$.subscribe(() => tell('granted'));
leadership.revoked$.subscribe(() => tell('revoked'));
app.enableShutdownHooks();
tell('started');
