import type { Outsiders } from '../../proof/kubernetes/crowd.js';
import type { CandidatesReport, Following } from '../../proof/kubernetes/crowd-process.js';
import {
  type Contender,
  type ContenderEvent,
  type ContenderKey,
  type LeasePlace,
  type LeaseTimes,
  startContender,
} from './contender.js';

/** The defaults of client-go, and of this library. */
const DEFAULT_TIMES: LeaseTimes = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 };

/** Several candidates of one contender in one process, each with connections of its own. */
export class ContenderCrowd implements Outsiders {
  private readonly told: CandidatesReport[] = [];
  private readonly followed: Following[] = [];
  private read = 0;

  static async start(
    key: ContenderKey,
    place: LeasePlace,
    count: number,
    identity: string = key,
  ): Promise<ContenderCrowd> {
    const options = { identity, count };
    return new ContenderCrowd(await startContender(key, place, DEFAULT_TIMES, options), count);
  }

  private constructor(
    private readonly process: Contender,
    readonly count: number,
  ) {}

  get pid(): number {
    return this.process.pid;
  }

  get reports(): readonly CandidatesReport[] {
    this.readEvents();
    return this.told;
  }

  get follows(): readonly Following[] {
    this.readEvents();
    return this.followed;
  }

  granted(): Promise<number> {
    return this.process.granted();
  }

  /** All of them compete. */
  ready(): Promise<void> {
    return this.process.until('start', () => this.process.isReady);
  }

  stepDown(): void {
    this.process.signal('SIGUSR2');
  }

  resume(): void {
    this.process.signal('SIGHUP');
  }

  kill(): Promise<void> {
    return this.process.kill();
  }

  private readEvents(): void {
    const { events } = this.process;
    for (; this.read < events.length; this.read++) this.take(events[this.read]!);
  }

  private take({ event, identity, at, leader }: ContenderEvent): void {
    if (event === 'granted' || event === 'revoked') this.told.push({ kind: event, identity, at });
    if (event === 'leader' && leader) this.followed.push({ identity, at, leader });
  }
}
