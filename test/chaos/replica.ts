/** One replica under chaos: a Nest application that writes down what it believes. See `ReplicaSettings`. */
import { Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
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
  LeaderScheduleModule,
  type LeaderCronContext,
} from 'nestjs-leader-election/schedule';
import { HistoryRecorder, monotonicNs } from './history-recorder.js';
import { RegisterClient } from './register-client.js';
import type { ReplicaOrder, ReplicaReport, ReplicaSettings } from './replica-settings.js';

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

/** The wall clock of this process alone; where libfaketime is present, the whole process is stepped by that instead. */
function stepWallClock(ms: number): void {
  const before = Date.now.bind(Date);
  Date.now = () => before() + ms;
}

const app = await NestFactory.createApplicationContext(ChaosModule, {
  logger: ['error', 'warn', 'log'],
});
app.enableShutdownHooks();
const leadership = app.get(LeadershipService);
process.on('message', (order: ReplicaOrder) => {
  if (order.kind === 'step-down') leadership.stepDown();
  else stepWallClock(order.ms);
});
process.channel?.unref();
report({ kind: 'ready', identity: leadership.identity });
