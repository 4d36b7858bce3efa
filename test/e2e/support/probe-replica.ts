/**
 * One replica as the end-to-end tests need it: a Nest application that tells on standard output what happens to it,
 * with the machine's monotonic clock, and writes what `isLeader()` says every few milliseconds to a file that survives
 * its own death. Settings come in the environment, see `ProbeSettings`.
 */
import { openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  fileLock,
  LeaderElectionModule,
  LeadershipService,
  leaseLock,
  OnGranted,
  OnNewLeader,
  OnRevoked,
  type RevocationReason,
  type Term,
} from '../../../lib/index.js';
// One copy of the library with what is not public of it: the locks are told by their class.
import { PodEnvironment } from '../../../lib/kubernetes/connection/pod-environment.js';
import { configMapLockIn } from '../../../lib/locks/kubernetes/config-map.lock.js';
import { leaseLockIn } from '../../../lib/locks/kubernetes/lease.lock.js';
import { monotonicMs } from '../../../proof/fleet/monotonic-clock.js';
import type { ProbeSettings } from './probe-settings.js';

const settings = JSON.parse(process.env['PROBE_SETTINGS']!) as ProbeSettings;

function tell(event: string, details: object = {}): void {
  // Written at once: a process that is killed the next moment has still told.
  const { user, system } = process.cpuUsage();
  const cpuMs = (user + system) / 1_000;
  writeSync(1, `${JSON.stringify({ at: monotonicMs(), cpuMs, event, ...details })}\n`);
}

function lock(): ReturnType<typeof leaseLock> {
  if (settings.lockDirectory !== undefined) return fileLock({ directory: settings.lockDirectory });
  if (settings.serviceAccountDirectory !== undefined) {
    const pod = new PodEnvironment(process.env, settings.serviceAccountDirectory);
    const lockIn = settings.isConfigMap ? configMapLockIn : leaseLockIn;
    return lockIn(pod, { kubeConfig: 'in-cluster' });
  }
  return leaseLock({ kubeConfigFile: settings.kubeConfigFile! });
}

@Injectable()
class Probe implements OnApplicationBootstrap {
  constructor(private readonly leadership: LeadershipService) {}

  onApplicationBootstrap(): void {
    this.leadership.errors$.subscribe((error) => tell('error', { message: error.message }));
    this.leadership.members$.subscribe((members) => {
      if (members !== undefined) tell('members', { members: members.map(({ name }) => name) });
    });
    if (settings.probeFile !== undefined) this.probeInto(openSync(settings.probeFile, 'a'));
  }

  @OnGranted()
  granted(term: Term): void {
    tell('granted', { term: term.number, token: String(term.fencingToken) });
  }

  @OnRevoked()
  async revoked(term: Term, reason: RevocationReason): Promise<void> {
    tell('revoked', { term: term.number, reason });
    if (settings.slowRevokeMs !== undefined) await delay(settings.slowRevokeMs);
    tell('revoked-handled', { term: term.number });
  }

  @OnNewLeader()
  newLeader(leader: string | undefined): void {
    tell('leader', { leader });
  }

  /** The reading is taken before it is written: it stays true though the process is stopped in between. */
  private probeInto(file: number): void {
    setInterval(() => {
      const isLeader = this.leadership.isLeader();
      const at = monotonicMs();
      const again = this.leadership.isLeader();
      if (isLeader && again) writeSync(file, `${at}\n`);
    }, 2).unref();
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      role: settings.role ?? 'probe',
      leaseName: settings.leaseName,
      ...(settings.namespace === undefined ? {} : { namespace: settings.namespace }),
      ...settings.options,
      ...settings.inCluster,
      lock: lock(),
    }),
  ],
  providers: [Probe],
})
class ProbeModule {}

const app = await NestFactory.createApplicationContext(ProbeModule, {
  logger: settings.verbose ? ['error', 'warn', 'log', 'debug'] : ['error', 'warn', 'log'],
});
app.enableShutdownHooks();
tell('ready', { identity: app.get(LeadershipService).identity });
