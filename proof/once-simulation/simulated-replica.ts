import { setMaxListeners } from 'node:events';
import { createTerm, type Term } from '../../lib/core/term.js';
import type { JsonDocument } from '../../lib/core/json-document.js';
import { endOf, type OnceEnd, type WantedWork } from '../../lib/schedule/once/once-decision.js';
import { type OnceRecord, readOnceRecord } from '../../lib/schedule/once/once-record.js';
import type { OnceContext, OnceWork } from '../../lib/schedule/once/once-work.js';
import type { EventQueue } from '../simulation/event-queue.js';
import type { RandomStream } from '../simulation/random-stream.js';
import type { FaultCount, FaultMix } from '../tick-simulation/network-faults.js';
import { SimulatedHost } from '../tick-simulation/simulated-host.js';
import type { SimulatedDocument } from '../tick-simulation/simulated-document.js';
import {
  SimulatedDocumentStore,
  type StoreWeather,
} from '../tick-simulation/simulated-document-store.js';
import { KEYS, type OnceHistory } from './once-history.js';
import type { OnceEngine } from './once-simulation.js';

export interface OnceTraits {
  readonly engine: OnceEngine;
  readonly queue: EventQueue;
  readonly document: SimulatedDocument;
  readonly random: RandomStream;
  readonly faults: FaultMix;
  readonly count: FaultCount;
  readonly history: OnceHistory;
  /** True time from which nothing fails. */
  readonly calmFrom: number;
  readonly weather: StoreWeather;
}

const LOOK_MS = 500;
const LONGEST_LOOK_MS = 3_000;

/** One process that wants two keys at one version, and believes that it leads whatever the others believe. */
export class SimulatedReplica extends SimulatedHost {
  /** One that never leads, and only waits. */
  private readonly isFollower: boolean;
  private current: { readonly term: Term; readonly abort: AbortController } | undefined;
  private readonly granted = new Map<string, (term: Term) => void>();
  private readonly works: readonly OnceWork[];
  private nonces = 0;

  constructor(
    readonly identity: string,
    private readonly version: number,
    private readonly traits: OnceTraits,
  ) {
    super(traits);
    this.isFollower = traits.random.chance(0.2);
    this.begin();
    this.works = this.want();
    this.planTroubles();
  }

  /** What is not over though nothing has failed for a while; for a follower, though the record says that it is. */
  get stuck(): string[] {
    return this.works
      .filter(({ isOver }) => !isOver)
      .filter(
        ({ key, definition }) => !this.isFollower || this.endOf(key, definition) !== undefined,
      )
      .map(({ key }) => `not over: ${key} ${this.version} in ${this.identity}`);
  }

  private endOf(key: string, wanted: WantedWork): OnceEnd | undefined {
    const document = JSON.parse(this.traits.document.read()?.text ?? '{}') as JsonDocument;
    const read = readOnceRecord(document, key);
    return 'record' in read ? endOf(read.record, wanted) : undefined;
  }

  private want(): OnceWork[] {
    const { engine, document, random, history } = this.traits;
    const store = new SimulatedDocumentStore(document, {
      ...this.traits,
      owner: this,
      cutOffUntil: () => this.cutOffUntil,
      onWrite: () => this.perhapsLoseTerm(),
    });
    const ledger = new engine.OnceLedger(store, this, {
      requestTimeoutMs: 1_000,
      longestRequestMs: 2_000,
      retryMs: 250,
      longestRetryMs: 3_000,
      random: () => random.next(),
      onError: () => undefined,
    });
    const termOf = (): Term | undefined => this.current?.term;
    const role = new engine.OnceRole({
      clock: this,
      ledger,
      lookMs: LOOK_MS,
      onError: () => undefined,
      stopped: () => new Error('stopped'),
      longestLookMs: LONGEST_LOOK_MS,
      leaseOf: (key) => key,
      compete: async (key, onGranted) => {
        this.granted.set(key, onGranted);
        return {
          get term() {
            return termOf();
          },
          track: () => undefined,
          drain: async () => undefined,
          end: async () => void this.granted.delete(key),
        };
      },
      work: {
        identity: this.identity,
        nonce: () => `${this.identity}/${(this.nonces += 1)}`,
        leaseDurationMs: 3_000,
        lookMs: LOOK_MS,
        call: async ({ run }, context) => run(context),
        observer: (key) => ({
          onStarted: (record: OnceRecord) => history.started(key, record),
          onEnded: (record, { state }) => history.ended(key, record, state),
          onUnrecorded: () => this.traits.count.add('unrecorded'),
          onReturned: () => this.traits.count.add('handed back'),
          onSuperseded: () => this.traits.count.add('superseded'),
        }),
      },
    });
    const version = String(this.version);
    const run = (context: OnceContext): Promise<void> => this.work(context);
    return (['fail', 'rerun'] as const).map((onInterrupted) => {
      const key = KEYS[onInterrupted];
      const work = role.add({ key, version, onInterrupted, run });
      void work.over.then((outcome) => {
        this.traits.count.add(`told ${outcome.end}`);
        history.told(key, this.version, outcome);
      });
      return work;
    });
  }

  /** A while; some of it fails, and half of it heeds its signal. */
  private work({ signal }: OnceContext): Promise<void> {
    const { queue, random } = this.traits;
    const [durationMs, fails] = [random.between(0, 6_000), random.chance(0.15)];
    return new Promise((resolve, reject) => {
      queue.after(durationMs, this, () => (fails ? reject(new Error('failed')) : resolve()));
      if (random.chance(0.5))
        signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  }

  /** Tokens in any order: nothing that is always promised may depend on who is the rightful leader. */
  private begin(): void {
    if (this.isFollower) return;
    const abort = new AbortController();
    setMaxListeners(Infinity, abort.signal);
    const { random } = this.traits;
    const term = createTerm({
      role: 'simulated',
      number: random.whole(1, 9),
      fencingToken: BigInt(random.whole(1, 9)),
      holderIdentity: this.identity,
      grantedAt: new Date(0),
      signal: abort.signal,
    });
    this.current = { term, abort };
    for (const onGranted of this.granted.values()) onGranted(term);
  }

  private loseTerm(): void {
    if (this.current === undefined || this.isCalm) return;
    this.traits.count.add('term lost');
    const { abort } = this.current;
    this.current = undefined;
    // By the clock the term is over at once, and its signal knows later.
    const { queue, random } = this.traits;
    queue.after(random.between(0, 50), this, () => abort.abort(new Error('revoked')));
    queue.after(random.between(50, 2_000), this, () => this.begin());
  }

  private perhapsLoseTerm(): void {
    const { random, faults, queue } = this.traits;
    if (!random.chance(faults.loseTermOnWrite)) return;
    queue.after(random.between(0, 10), this, () => this.loseTerm());
  }

  private planTroubles(): void {
    this.planInterruptions();
    this.plan(this.traits.faults.loseTermEvery, () => this.loseTerm());
  }
}
