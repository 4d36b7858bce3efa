import { scrypt } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { ConsoleLogger, Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  fileLock,
  LeaderElectionModule,
  LeadershipService,
  leaseLock,
  type Term,
} from 'nestjs-leader-election';
import {
  LeaderCron,
  type LeaderCronContext,
  LeaderScheduleModule,
} from 'nestjs-leader-election/schedule';
import { monotonicNs } from '../fleet/monotonic-clock.js';
import { HistoryRecorder } from './history-recorder.js';
import { RegisterClient } from './register-client.js';
import type { ReplicaOrder, ReplicaReport, ReplicaSettings } from './replica-settings.js';

/** One replica under chaos: a Nest application that writes down what it believes. See `ReplicaSettings`. */

const settings = JSON.parse(process.env['CHAOS_REPLICA']!) as ReplicaSettings;

const history = new HistoryRecorder(settings.historyFile);

const PROBE_PERIOD_MS = 2;
const REGISTER_PERIOD_MS = 50;
const READ_PERIOD_MS = 200;
const JOB = {
  name: settings.sabotage === 'claim-alone' ? settings.name : 'every-second',
  timeZone: 'Etc/UTC',
  // A new leader catches up, and so comes near the last tick of the one before it.
  startingDeadlineSeconds: 10,
};

function report(report: ReplicaReport): void {
  if (process.connected) process.send!(report, () => undefined);
}

@Injectable()
class Probe implements OnApplicationBootstrap {
  private readonly register = new RegisterClient(settings.registerPort, settings.name, history);
  private granted: Term | undefined;

  constructor(private readonly leadership: LeadershipService) {}

  onApplicationBootstrap(): void {
    this.leadership.granted$.subscribe((term) => {
      this.granted = term;
      history.granted(term.number, term.fencingToken);
      this.probe();
      report({ kind: 'granted' });
    });
    this.leadership.revoked$.subscribe(({ term, reason }) => {
      this.granted = undefined;
      history.revoked(term.number, reason);
      report({ kind: 'revoked' });
    });
    setInterval(() => this.probe(), PROBE_PERIOD_MS).unref();
    setInterval(() => this.writeToRegister(), REGISTER_PERIOD_MS).unref();
    setInterval(() => this.register.read(), READ_PERIOD_MS).unref();
  }

  @LeaderCron('* * * * * *', JOB)
  tick({ scheduledTime, term }: LeaderCronContext): void {
    history.started(term.number, term.fencingToken, scheduledTime.getTime());
  }

  private probe(): void {
    const at = monotonicNs();
    const term = this.believedTerm();
    if (term !== undefined) history.believed(at, term.number);
  }

  private writeToRegister(): void {
    const term = this.believedTerm();
    if (term !== undefined) this.register.write(term.fencingToken);
  }

  private believedTerm(): Term | undefined {
    if (settings.sabotage === 'believe-without-clock') return this.granted;
    return this.leadership.isLeader() ? this.leadership.term : undefined;
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      role: 'chaos',
      leaseName: settings.leaseName,
      ...settings.options,
      // Without pods there are members on the file lock alone. Nothing but a request names one.
      ...(settings.lockDirectory !== undefined && { members: true, placement: 'any' as const }),
      lock:
        settings.lockDirectory === undefined
          ? leaseLock({ kubeConfigFile: settings.kubeConfigFile! })
          : fileLock({ directory: settings.lockDirectory }),
    }),
    LeaderScheduleModule,
  ],
  providers: [Probe],
})
class ChaosModule {}

/** As the application's own log does, and into the history as well, where nobody's wall clock matters. */
class RecordingLogger extends ConsoleLogger {
  override error(...args: Parameters<ConsoleLogger['error']>): void {
    history.logged('error', String(args[0]));
    super.error(...args);
  }

  override log(...args: Parameters<ConsoleLogger['log']>): void {
    hear(args[0]);
    super.log(...args);
  }

  override warn(...args: Parameters<ConsoleLogger['warn']>): void {
    hear(args[0]);
    history.logged('warn', String(args[0]));
    super.warn(...args);
  }
}

/** The election says it before it does what it was asked for. */
function hear(said: unknown): void {
  const { event, by } = said as { event?: string; by?: string };
  if (event === 'leadership.asked-to-step-down') history.heard(String(by), false);
  if (event === 'leadership.refused-to-step-down') history.heard(String(by), true);
}

function blockLoop(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** Twice as much work as the pool has threads: whatever needs it waits. */
function keepPoolBusy(ms: number): void {
  const until = performance.now() + ms;
  const again = (): void => {
    if (performance.now() < until) scrypt('chaos', 'salt', 32, { N: 2 ** 14 }, again);
  };
  for (let job = 0; job < 8; job += 1) again();
}

function exhaustFiles(ms: number): void {
  const open: number[] = [];
  try {
    for (;;) open.push(openSync('/dev/null', 'r'));
  } catch {
    // None is left.
  }
  setTimeout(() => open.forEach((descriptor) => closeSync(descriptor)), ms);
}

/** The wall clock of this process alone; where libfaketime is present, the whole process is stepped by that instead. */
function stepWallClock(ms: number): void {
  const before = Date.now.bind(Date);
  Date.now = () => before() + ms;
}

const app = await NestFactory.createApplicationContext(ChaosModule, {
  logger: new RecordingLogger({ logLevels: ['error', 'warn', 'log'], colors: false }),
});
// Not by Nest's own hooks, which end the process by the signal: whatever is left behind keeps it alive (I10).
process.once('SIGTERM', () => void app.close());
const leadership = app.get(LeadershipService);
process.on('message', (order: ReplicaOrder) => {
  switch (order.kind) {
    case 'step-down':
      return leadership.stepDown();
    case 'step-wall-clock':
      return stepWallClock(order.ms);
    case 'block-loop':
      return blockLoop(order.ms);
    case 'busy-pool':
      return keepPoolBusy(order.ms);
    case 'exhaust-files':
      return exhaustFiles(order.ms);
    default:
      return order satisfies never;
  }
});
process.channel?.unref();
report({ kind: 'ready', identity: leadership.identity });
