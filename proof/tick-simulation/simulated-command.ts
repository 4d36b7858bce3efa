import type { RunAsker } from '../../lib/schedule/ledger/run-asker.js';
import { SimulatedDocumentStore } from './simulated-document-store.js';
import { EPOCH_MS, SimulatedHost } from './simulated-host.js';
import { CHANGE_TIMEOUT_MS, REQUEST_TIMEOUT_MS } from './simulated-job.js';
import type { JobHistory } from './job-history.js';
import type { ProcessTraits } from './simulated-process.js';

const TIMEOUTS_MS = [500, 2_000, 5_000, 20_000];
/** When nothing fails, and until when a leader has then heard. */
const CALM_TIMEOUT_MS = 20_000;

export interface CommandTraits extends ProcessTraits {
  /** Lets all that lead read the records. */
  readonly tellLeaders: () => void;
}

/** One call of the command line that asks for a run: it comes, asks, waits and goes, or is killed. */
export class SimulatedCommand extends SimulatedHost {
  private readonly asker: RunAsker;

  constructor(
    private readonly history: JobHistory,
    private readonly traits: CommandTraits,
  ) {
    super(traits);
    const { engine, faults, random, objects, queue } = traits;
    this.skewMs = random.between(-faults.skewMs, faults.skewMs);
    this.planInterruptions();
    const link = {
      ...traits,
      owner: this,
      cutOffUntil: () => this.cutOffUntil,
      onWrite: () => undefined,
    };
    const ledger = new engine.SpreadLedger(this, {
      objects: 1,
      open: (object) => new SimulatedDocumentStore(objects.documents[object]!, link),
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      longestRequestMs: CHANGE_TIMEOUT_MS,
      retryMs: 250,
      longestRetryMs: REQUEST_TIMEOUT_MS,
      random: () => random.between(0, 1),
      onError: (error) => this.asker.failed(error),
    });
    this.asker = new engine.RunAsker(ledger, this, () => this.tell());
    if (!this.isCalm && random.chance(0.15)) {
      queue.after(random.between(0, 5_000), this, () => this.kill());
    }
  }

  ask(id: string): void {
    const { random, count, queue } = this.traits;
    const { history } = this;
    const { job } = history;
    const timeoutMs = this.isCalm ? CALM_TIMEOUT_MS : random.pick(TIMEOUTS_MS);
    history.requests.asked(id, {
      askedAt: EPOCH_MS + queue.now,
      isCalm: this.isCalm,
      isOrphaned: () => this.isDead,
    });
    void this.asker.ask({ job, id, by: 'operator', timeoutMs }).then((outcome) => {
      const isAnswered = outcome.kind === 'answered';
      count.add(`ask ${isAnswered ? outcome.answer.state : outcome.kind}`);
      history.requests.told(id, outcome);
    });
  }

  /** By a request on the lease, which may fail. */
  private async tell(): Promise<void> {
    if (this.isCalm || this.traits.random.chance(0.8)) this.traits.tellLeaders();
  }
}
