import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { outputTo } from '../../../lib/cli/output.js';
import { withFleetJobs } from '../../../lib/cli/schedule/fleet.js';
import { LockRequestError } from '../../../lib/core/errors.js';
import { FleetError } from '../../../lib/fleet/fleet-error.js';
import type { AskedOutcome } from '../../../lib/schedule/ledger/run-asker.js';
import type { Lifeline } from '../../control-plane/lifeline.js';
import { Fleet } from '../../fleet/fleet.js';
import type { ReplicaServer } from '../../fleet/replica-server.js';
import type { ReplicaSlot } from '../../fleet/replica-slot.js';
import type { RandomStream } from '../../simulation/random-stream.js';
import { type Fates, openEnds } from './job-check.js';
import { JobHistory, type Start, TickHistory } from './tick-history.js';
import { type TickJob, tickJobs } from './tick-jobs.js';
import { TickReplicaProcess } from './tick-replica-process.js';
import { REQUESTED_JOB, type Request } from './tick-replica-settings.js';
import type { RequestedRun } from './trigger-check.js';

const POLL_MS = 20;
const SETTLE_POLL_MS = 250;
/** A replica that has not answered by then has probably ended or lost its way to the store. */
const ANSWER_MS = 4_000;
/** The judge finds it too long before. */
const LONGEST_CANCEL_MS = 16_000;

/** Until when a leader may start a run that was asked for. */
const TRIGGER_MS = 6_000;
const SILENT = { write: () => {} };
const CALL = {
  positionals: [],
  program: undefined,
  env: {},
  output: outputTo({ stdout: SILENT, stderr: SILENT }, false),
};

function outcomeOf(asked: AskedOutcome): RequestedRun['outcome'] {
  switch (asked.kind) {
    case 'answered': {
      const { state } = asked.answer;
      if (state === 'refused' || state === 'not-started') return 'none';
      // It may have been claimed by a process that has ended before it called the handler.
      return state === 'claimed' || state === 'interrupted' ? 'unknown' : 'started';
    }
    case 'overtaken':
    case 'unresolved':
      return 'unknown';
    default:
      return 'none';
  }
}

type TickSlot = ReplicaSlot<TickReplicaProcess>;

/** Where replicas find their lock. */
export interface TickGround {
  readonly leaseName: string;
  readonly lockDirectory?: string;
  /** A way of one's own to the API server. */
  readonly connect?: () => Promise<ReplicaServer>;
  /** How the command line finds it. */
  readonly cliOptions: Readonly<Record<string, string>>;
}

export interface TickFleetSettings {
  readonly name: string;
  readonly directory: string;
  readonly ground: TickGround;
  readonly startingDeadlineSeconds: number;
  /** How many jobs of each kind the application has. */
  readonly jobs: number;
  readonly lifeline: Lifeline;
  /** Ends every wait. */
  readonly signal: AbortSignal;
  /** How long to wait for what must happen, at the machine's present pace. */
  readonly patienceMs: () => number;
}

/** Replicas of one application, replaced as they end; their histories stay. */
export class TickFleet extends Fleet<TickReplicaProcess> {
  readonly name: string;
  readonly jobs: readonly TickJob[];
  /** One after the other. */
  readonly requestedRuns: RequestedRun[] = [];
  private readonly stopped = new Map<string, number>();
  private orders = 0;

  constructor(private readonly settings: TickFleetSettings) {
    super();
    this.name = settings.name;
    this.jobs = tickJobs(settings.jobs, settings.startingDeadlineSeconds);
  }

  async addReplicas(count: number): Promise<void> {
    for (let number = 1; number <= count; number += 1) {
      const server = await this.settings.ground.connect?.();
      const slot = this.addSlot({
        name: `replica-${number}`,
        server,
        launch: (name) => this.launch(name, server),
      });
      await this.untilReady(slot);
    }
  }

  async refill(slot: TickSlot): Promise<void> {
    slot.start();
    await this.untilReady(slot);
  }

  /** Where the one living replica is that says it leads; undefined while none does, or two do. */
  leader(): TickSlot | undefined {
    const leaders = this.slots.filter(({ process }) => process.leads);
    return leaders.length === 1 ? leaders[0] : undefined;
  }

  async settledLeader(): Promise<TickSlot> {
    await this.until('one leader', () => this.leader() !== undefined);
    return this.leader()!;
  }

  /** Waits for a living replica of which something is known. */
  async slotWhere(
    what: string,
    holds: (process: TickReplicaProcess) => boolean,
  ): Promise<TickSlot> {
    const found = (): TickSlot | undefined =>
      this.slots.find(({ process }) => process.isReady && holds(process));
    await this.until(what, () => found() !== undefined);
    return found()!;
  }

  /** Waits until another living replica than this one has started a tick after the given one. */
  async tickOfAnother(than: TickReplicaProcess | undefined, after: number): Promise<void> {
    await this.until('a tick of another replica', () =>
      this.replicas.some(
        (replica) =>
          replica !== than && !replica.hasExited && replica.history.look().latestTick > after,
      ),
    );
  }

  /**
   * Waits for each tick so far to be started or reported, and for each run of a process that has ended to be reported,
   * which a new leader does in its own time. Answers up to which tick that has to be so now.
   */
  async allAccounted(): Promise<number> {
    const last = Math.floor(Date.now() / 1_000) - 1;
    const begun = performance.now();
    do {
      await this.sleep(SETTLE_POLL_MS);
      const { jobs } = this.history();
      const { fates } = this;
      const isSettled = this.jobs.every((job) => {
        const history = jobs.get(job.name) ?? new JobHistory(job.name);
        return openEnds(job, history, last, fates).length === 0;
      });
      if (isSettled) break;
    } while (performance.now() - begun < this.settings.patienceMs());
    return last;
  }

  get fates(): Fates {
    const gone = this.processes.filter(({ hasExited }) => hasExited).map(({ name }) => name);
    return { stopped: new Map(this.stopped), gone: new Set(gone) };
  }

  stop({ process }: TickSlot): void {
    this.stopped.set(process.name, Infinity);
    process.signal('SIGSTOP');
  }

  continue({ process }: TickSlot): void {
    process.signal('SIGCONT');
    this.stopped.set(process.name, Date.now());
  }

  /** Asks one replica after the other, until one has done it; `mayAsk` says which. */
  async order(
    request: Request,
    job: string,
    random: RandomStream,
    mayAsk: (process: TickReplicaProcess) => boolean = () => true,
  ): Promise<void> {
    const giveUpAt = performance.now() + this.settings.patienceMs();
    while (performance.now() < giveUpAt) {
      const able = this.slots.filter(
        ({ process, isBusy }) => process.isReady && !isBusy && mayAsk(process),
      );
      if (able.length > 0 && (await this.isDone(request, job, random.pick(able)))) return;
      await this.sleep(POLL_MS);
    }
    throw this.failure(`no replica could ${request} the job "${job}"`);
  }

  /** Waits for a run of the job that is stuck in the leader, has another replica cancel it, and waits for its end. */
  async cancelThroughAnother(job: string, random: RandomStream): Promise<void> {
    const stuck = (): Start | undefined => {
      const history = this.history().jobs.get(job);
      const last = history?.starts.at(-1);
      const hasEnded = history?.ends.some(
        ({ name, tick }) => name === last?.name && tick === last.tick,
      );
      return last?.name !== this.leader()?.process.name || hasEnded ? undefined : last;
    };
    await this.until('a run that is stuck', () => stuck() !== undefined);
    const { name, tick } = stuck() ?? {};
    await this.order('cancel', job, random, (process) => process.name !== name);
    const giveUpAt = performance.now() + LONGEST_CANCEL_MS;
    while (stuck()?.tick === tick && performance.now() < giveUpAt) await this.sleep(SETTLE_POLL_MS);
  }

  private async isDone(request: Request, job: string, { process }: TickSlot): Promise<boolean> {
    const id = (this.orders += 1);
    process.send({ id, request, job });
    const giveUpAt = performance.now() + ANSWER_MS;
    while (performance.now() < giveUpAt && !process.hasExited) {
      const answer = process.history.look().answers.get(id);
      if (answer !== undefined) return answer;
      await this.sleep(POLL_MS);
    }
    return process.history.look().answers.get(id) === true;
  }

  /** As the command `trigger` does, through the objects of the fleet. */
  async requestRun(): Promise<void> {
    const call = { ...CALL, values: this.settings.ground.cliOptions };
    const askedAt = Date.now();
    const outcome = await withFleetJobs(call, (jobs) =>
      jobs.trigger(REQUESTED_JOB.name, TRIGGER_MS),
    ).then(outcomeOf, (error: unknown) => {
      // Nothing is stored.
      if (error instanceof FleetError) return 'none' as const;
      if (error instanceof LockRequestError) return 'unknown' as const;
      throw error;
    });
    this.requestedRuns.push({ askedAt, endedAt: Date.now(), outcome });
  }

  async end({ process }: TickSlot, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    process.signal(signal);
    await this.until(`${process.name} to end`, () => process.hasExited);
  }

  history(): TickHistory {
    return new TickHistory(this.processes.flatMap(({ history }) => history.look().events));
  }

  async sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.settings.signal });
    this.assertWhole();
  }

  private launch(name: string, server: ReplicaServer | undefined): TickReplicaProcess {
    const { directory, ground, startingDeadlineSeconds, jobs, lifeline } = this.settings;
    return new TickReplicaProcess({
      settings: {
        name,
        historyFile: join(directory, `${name}.jsonl`),
        leaseName: ground.leaseName,
        startingDeadlineSeconds,
        jobs,
        ...(ground.lockDirectory && { lockDirectory: ground.lockDirectory }),
        ...(server && { kubeConfigFile: server.kubeConfigFile }),
      },
      logFile: join(directory, `${name}.log`),
      lifeline,
    });
  }

  private untilReady({ process }: TickSlot): Promise<void> {
    return this.until(`${process.name} to be ready`, () => process.isReady);
  }

  private async until(what: string, holds: () => boolean): Promise<void> {
    await this.poll(
      holds,
      this.settings.patienceMs,
      (waitedMs) => this.failure(`waited ${waitedMs} ms for ${what}`),
      () => this.sleep(POLL_MS),
    );
    this.assertWhole();
  }

  private assertWhole(): void {
    const crash = this.processes.find((process) => process.crash !== undefined)?.crash;
    if (crash !== undefined) throw this.failure(crash);
  }

  private failure(what: string): Error {
    return new Error(`${this.name}: ${what}`);
  }
}
