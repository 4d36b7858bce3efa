import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';

const SAMPLE_MS = 5;
/** A process that did not run for so long was stopped. */
const STOPPED_MS = 500;

/** One elector of the library that a program is about. */
export interface Elector {
  /** What work would ask before each step. */
  leads(): boolean;
  /** Gives up the lease as far as the library does, and competes no more. The work has ended. */
  leave(): Promise<unknown>;
}

/** What a program is told in its arguments, see `Contender`. */
const [kubeConfigFile, namespace, leaseName, identity, ...numbers] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  ...string[],
];
const [leaseMs, renewMs, retryMs] = numbers.map((text) => parseInt(text, 10)) as [
  number,
  number,
  number,
];
const [stopHandlerMs, count] = [parseInt(numbers[3] ?? '0', 10), Number(numbers[4] ?? '1')];

/** Who competes, and what work of it is done while it leads: none, but it takes its time to stop. */
export class Candidate {
  readonly kubeConfigFile = kubeConfigFile;
  readonly namespace = namespace;
  readonly leaseName = leaseName;
  readonly leaseMs = leaseMs;
  readonly renewMs = renewMs;
  readonly retryMs = retryMs;
  private isWorking = false;
  private asking: NodeJS.Timeout | undefined;

  constructor(readonly identity: string) {}

  granted(): void {
    if (this.isWorking) return;
    this.isWorking = true;
    this.tell('granted');
  }

  /** Resolves once the work has ended. */
  async revoked(): Promise<void> {
    if (!this.isWorking) return;
    this.isWorking = false;
    this.tell('revoked');
    if (stopHandlerMs > 0) await delay(stopHandlerMs);
    this.tell('stop-handler-ended');
  }

  /** Before it gives up the lease. */
  endWork(): Promise<void> {
    clearInterval(this.asking);
    return this.revoked();
  }

  leader(leader: string | undefined): void {
    this.tell('leader', { leader });
  }

  ready(): void {
    this.tell('ready');
  }

  /** For a library that says nothing when it begins or ceases to lead. */
  ask(leads: () => boolean): void {
    this.asking = setInterval(() => {
      if (leads()) this.granted();
      else void this.revoked();
    }, SAMPLE_MS);
  }

  /** Tells after a stop of the process whether the work would have gone on. Keeps the process alive, as an application would. */
  sample(leads: () => boolean): void {
    let last = monotonicMs();
    setInterval(() => {
      const isLeading = leads();
      const at = monotonicMs();
      if (at - last > STOPPED_MS) this.tell('resumed', { leads: isLeading });
      last = at;
    }, SAMPLE_MS);
  }

  private tell(event: string, details: object = {}): void {
    // Written at once: a process that is killed the next moment has still told.
    const { identity: who } = this;
    writeSync(1, `${JSON.stringify({ at: monotonicMs(), event, identity: who, ...details })}\n`);
  }
}

/** Of a program with one candidate that needs no help with its end. */
export function theCandidate(): Candidate {
  return new Candidate(identity);
}

/**
 * Competes until SIGTERM, as someone would who has read what the library says: the work ends first, then the lease is
 * given up. At SIGUSR2 whoever leads in this process hands over, and competes again at the next SIGHUP: when another one
 * leads.
 */
export async function compete(start: (candidate: Candidate) => Elector | Promise<Elector>) {
  const names = Array.from({ length: count }, (_, index) => `${identity}-${index + 1}`);
  const candidates = (count === 1 ? [identity] : names).map((name) => new Candidate(name));
  const electors = await Promise.all(candidates.map(async (each) => start(each)));
  const leave = async (index: number): Promise<void> => {
    await candidates[index]!.endWork();
    await electors[index]!.leave();
  };
  process.on('SIGTERM', () => {
    void Promise.allSettled(candidates.map((_, index) => leave(index))).then(() => process.exit());
  });
  const resting = new Set<number>();
  process.on('SIGUSR2', () => {
    for (const index of candidates.keys()) {
      if (resting.has(index) || !electors[index]!.leads()) continue;
      resting.add(index);
      void leave(index);
    }
  });
  process.on('SIGHUP', () => {
    for (const index of resting) {
      void Promise.resolve(start(candidates[index]!)).then((elector) => {
        electors[index] = elector;
        resting.delete(index);
      });
    }
  });
  candidates[0]!.sample(() => electors[0]!.leads());
  candidates[0]!.ready();
}
