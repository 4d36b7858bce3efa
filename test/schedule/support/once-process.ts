import { setMaxListeners } from 'node:events';
import { createTerm, type Term } from '../../../lib/core/term.js';
import type { OnceRecord } from '../../../lib/schedule/once/once-record.js';
import { readOnceRecord } from '../../../lib/schedule/once/once-record.js';
import { OnceLedger } from '../../../lib/schedule/once/once-ledger.js';
import { OnceRole } from '../../../lib/schedule/once/once-role.js';
import type {
  OnceContext,
  OnceDefinition,
  OnceWork,
} from '../../../lib/schedule/once/once-work.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ScriptedDocumentStore } from './scripted-document-store.js';

export const LOOK_MS = 2_000;
const LONGEST_LOOK_MS = 15_000;
export const WAIT_MS = 60_000;

/** One process that wants work done once, and leads whenever the test says; several may share a clock and a store. */
export class OnceProcess {
  readonly role: OnceRole;
  readonly runs: OnceContext[] = [];
  readonly log: string[] = [];
  readonly errors: string[] = [];
  /** How often it began to compete, and how often it ended that. */
  readonly elections = { begun: 0, ended: 0 };
  handler: (context: OnceContext) => unknown = () => undefined;
  private readonly tracked = new Set<Promise<unknown>>();
  private readonly granted = new Map<string, (term: Term) => void>();
  private current: { readonly term: Term; readonly abort: AbortController } | undefined;
  private isFrozen = false;
  private nonces = 0;

  constructor(
    readonly identity = 'a',
    readonly clock = new ManualClock(),
    readonly store = new ScriptedDocumentStore(),
  ) {
    const ledger = new OnceLedger(store, clock, {
      requestTimeoutMs: 3_000,
      longestRequestMs: 10_000,
      retryMs: 250,
      longestRetryMs: 15_000,
      random: () => 0.5,
      onError: ({ message }) => this.errors.push(message),
    });
    this.role = new OnceRole({
      clock,
      ledger,
      lookMs: LOOK_MS,
      onError: ({ message }) => this.errors.push(message),
      stopped: () => new Error('stopped'),
      longestLookMs: LONGEST_LOOK_MS,
      leaseOf: (key) => `lease-once-${key}`,
      compete: async (key, onGranted) => {
        this.elections.begun += 1;
        this.granted.set(key, onGranted);
        const termOf = () => (this.isFrozen ? undefined : this.current?.term);
        return {
          get term() {
            return termOf();
          },
          track: (work) => this.tracked.add(work),
          drain: async () => {
            this.lose();
            await Promise.all(this.tracked);
          },
          end: async () => {
            this.elections.ended += 1;
            this.granted.delete(key);
          },
        };
      },
      work: {
        nonce: () => `${identity}-${(this.nonces += 1)}`,
        identity,
        leaseDurationMs: 15_000,
        lookMs: LOOK_MS,
        call: async ({ run }, context) => run(context),
        observer: () => ({
          onStarted: ({ attempt }) => this.log.push(`started ${attempt}`),
          onEnded: (_record, { state }) => this.log.push(state),
          onUnrecorded: () => this.log.push('unrecorded'),
          onReturned: () => this.log.push('returned'),
          onSuperseded: ({ version }, wanted) =>
            this.log.push(`${wanted} superseded by ${version}`),
        }),
      },
    });
  }

  want(change: Partial<OnceDefinition> = {}): OnceWork {
    return this.role.add({
      key: 'schema',
      version: '4',
      onInterrupted: 'fail',
      run: (context) => {
        this.runs.push(context);
        return this.handler(context);
      },
      ...change,
    });
  }

  /** What the wait for work came to, once it has. */
  waitFor(work: OnceWork, waitTimeoutMs = WAIT_MS): { result: unknown } {
    const waiting: { result: unknown } = { result: 'waiting' };
    this.role.wait(work, waitTimeoutMs).then(
      (result) => (waiting.result = result),
      (error: unknown) => (waiting.result = error),
    );
    return waiting;
  }

  /** Tokens grow with the terms, as those of an election do. */
  async lead(number = 1): Promise<this> {
    const abort = new AbortController();
    setMaxListeners(Infinity, abort.signal);
    const term = createTerm({
      role: 'role-once',
      number,
      fencingToken: BigInt(number),
      holderIdentity: this.identity,
      grantedAt: new Date(0),
      signal: abort.signal,
    });
    this.isFrozen = false;
    this.current = { term, abort };
    for (const onGranted of this.granted.values()) onGranted(term);
    await this.clock.settle();
    return this;
  }

  lose(): void {
    const { current } = this;
    this.current = undefined;
    current?.abort.abort(new Error('revoked'));
  }

  /** The term is over by the clock, and its signal does not know yet, as that takes a timer. */
  freeze(): void {
    this.isFrozen = true;
  }

  async record(): Promise<OnceRecord | undefined> {
    const read = readOnceRecord(await this.store.document(), 'schema');
    return 'record' in read ? read.record : undefined;
  }
}
