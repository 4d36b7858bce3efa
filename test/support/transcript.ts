import type { ElectionConfig, ElectionEvent, LockRequest } from '../../lib/core/election-state.js';
import type { ReadOutcome, WriteOutcome } from '../../lib/core/resource-lock.js';
import { LeaseStore } from '../../proof/simulation/lease-store.js';
import { CONFIG, unclear, unreachable } from './machine-run.js';
import { Candidate, type Flight, inMs, recordInWords } from './transcript-candidate.js';

const TIME_WIDTH = 8;
const OUTPUT = ' '.repeat(TIME_WIDTH + 4);
/** A time and, two spaces after it, what happens. */
const HAPPENING = /^ *([\d,]+) {2}(\S.*)$/;
const SETTING = /^With (\w+): ([\w,]+)\.$/;

type Outcome = ReadOutcome | WriteOutcome;

interface Phrase {
  /** Its first group is the process, its second a number of milliseconds. */
  readonly pattern: RegExp;
  readonly perform: (candidate: Candidate, ms: number) => string[];
  /** When it happens, where the process decides that. */
  readonly due?: (candidate: Candidate) => number;
}

/**
 * Processes, a store and what happens to them. A line with a time is what happens; the indented lines after it are
 * what the store answers, and what the process does and tells. No process misses a wake-up or a timeout but one that is
 * frozen or dead.
 */
class World {
  private readonly store = new LeaseStore();
  private readonly candidates = new Map<string, Candidate>();
  private now = 0;
  private readonly phrases: readonly Phrase[];

  constructor(private readonly config: ElectionConfig) {
    this.phrases = [...this.ofProcesses(), ...this.ofRequests(), ...this.ofClocksAndPeople()];
  }

  /** The line as it is to be written, and all that follows from it. */
  happens(time: number, text: string): string[] {
    for (const { pattern, perform, due } of this.phrases) {
      const match = pattern.exec(text);
      if (match === null) continue;
      const candidate = this.candidate(match[1]);
      const at = due === undefined ? time : due(candidate);
      this.moveTo(at);
      const found = perform(candidate, numberIn(match[2] ?? '0'));
      const line = `${inMs(at).padStart(TIME_WIDTH)}  ${text}`;
      return [line, ...found.map((output) => OUTPUT + output)];
    }
    throw new Error(`nothing that may happen in a transcript: ${text}`);
  }

  private candidate(name = ''): Candidate {
    let candidate = this.candidates.get(name);
    if (candidate === undefined) {
      candidate = new Candidate({ ...this.config, identity: name });
      this.candidates.set(name, candidate);
    }
    return candidate;
  }

  private moveTo(at: number): void {
    if (!(at >= this.now)) throw new Error(`${inMs(at)} comes before ${inMs(this.now)}`);
    for (const { name, isStill, wakeAt, timeoutAt } of this.candidates.values()) {
      const due = Math.min(wakeAt, timeoutAt);
      if (!isStill && due < at) throw new Error(`${name} has something to do at ${inMs(due)}`);
    }
    this.now = at;
  }

  private ofProcesses(): Phrase[] {
    const says = (pattern: RegExp, event: ElectionEvent): Phrase => ({
      pattern,
      perform: (candidate) => candidate.say(event, this.now),
    });
    const wake = (candidate: Candidate): string[] => {
      candidate.isStill = false;
      return candidate.say({ kind: 'tick' }, this.now);
    };
    const still = (candidate: Candidate): string[] => {
      candidate.isStill = true;
      return [];
    };
    return [
      says(/^(\w+) starts$/, { kind: 'start' }),
      { pattern: /^(\w+) wakes$/, perform: wake, due: ({ wakeAt }) => Math.max(this.now, wakeAt) },
      { pattern: /^(\w+) wakes late$/, perform: wake },
      { pattern: /^(\w+) (?:dies|is frozen)$/, perform: still },
      {
        pattern: /^(\w+) steps down for ([\d,]+) ms$/,
        perform: (candidate, cooldownMs) =>
          candidate.say({ kind: 'withdraw', reason: 'stepped-down', cooldownMs }, this.now),
      },
      says(/^(\w+) is suspended$/, { kind: 'withdraw', reason: 'suspended', cooldownMs: 0 }),
      says(/^(\w+) is resumed$/, { kind: 'resume' }),
      says(/^(\w+) shuts down$/, { kind: 'withdraw', reason: 'shutdown', cooldownMs: 0 }),
      {
        pattern: /^the work of (\w+) has ended$/,
        perform: (candidate) =>
          candidate.say({ kind: 'drained', term: candidate.endedTerm! }, this.now),
      },
      says(/^the application of (\w+) has closed$/, { kind: 'finish' }),
      { pattern: /^(\w+) is asked whether it leads$/, perform: (asked) => this.leads(asked) },
    ];
  }

  private ofRequests(): Phrase[] {
    return [
      {
        pattern: /^the store answers (\w+)$/,
        perform: (candidate) => {
          const flight = candidate.flightNow;
          return this.answer(candidate, flight, this.carryOut(flight.request));
        },
      },
      {
        pattern: /^the store carries out the request of (\w+)$/,
        perform: ({ flightNow }) => {
          flightNow.outcome = this.carryOut(flightNow.request);
          return [`store: ${outcomeInWords(flightNow.outcome)}`];
        },
      },
      {
        pattern: /^the answer reaches (\w+)$/,
        perform: (candidate) => {
          const flight = candidate.answered;
          candidate.isStill = false;
          return candidate.answer(flight, flight.outcome!, this.now);
        },
      },
      {
        pattern: /^the request of (\w+) times out$/,
        due: ({ timeoutAt }) => timeoutAt,
        perform: (candidate) => this.answer(candidate, candidate.lose(), 'no answer'),
      },
      {
        pattern: /^(\w+) cannot connect$/,
        perform: (candidate) => this.answer(candidate, candidate.flightNow, 'no connection'),
      },
      {
        pattern: /^the lost request of (\w+) reaches the store$/,
        perform: ({ lost }) => [`store: ${outcomeInWords(this.carryOut(lost.pop()!.request))}`],
      },
      {
        pattern: /^the watch of (\w+) opens$/,
        perform: (candidate) => candidate.say({ kind: 'watch-opened' }, this.now),
      },
      {
        pattern: /^the watch of (\w+) breaks$/,
        perform: (candidate) => candidate.say({ kind: 'watch-interrupted' }, this.now),
      },
      {
        pattern: /^the watch of (\w+) shows the lease$/,
        perform: (candidate) => {
          const { lease, revision } = this.store;
          return candidate.say({ kind: 'watch-changed', lease, revision }, this.now);
        },
      },
      {
        pattern: /^the lock proves to (\w+) that the holder is dead$/,
        perform: (candidate) => {
          const { timingKey } = this.store.lease!;
          return candidate.say({ kind: 'holder-died', timingKey }, this.now);
        },
      },
    ];
  }

  private ofClocksAndPeople(): Phrase[] {
    return [
      {
        pattern: /^the machine of (\w+) sleeps for ([\d,]+) ms$/,
        perform: (candidate, ms) => {
          candidate.sleep(ms);
          this.now += ms;
          return [];
        },
      },
      {
        pattern: /^the wall clock of (\w+) jumps ahead by ([\d,]+) ms$/,
        perform: (candidate, ms) => {
          candidate.wallAheadMs += ms;
          return [];
        },
      },
      {
        pattern: /^somebody deletes the lease$/,
        perform: () => {
          this.store.delete(this.now);
          return [];
        },
      },
      {
        pattern: /^somebody asks (\w+) to step down in term ([\d,]+)$/,
        perform: ({ name }, transitions) => {
          const asks = 'step-down';
          this.store.mark({ id: String(this.now), asks, transitions, holderIdentity: name });
          return [];
        },
      },
      {
        pattern: /^somebody clears the holder$/,
        perform: () => {
          this.store.edit({ holderIdentity: '' }, this.now);
          return [];
        },
      },
    ];
  }

  private leads(candidate: Candidate): string[] {
    const until = candidate.leadsUntil(this.now);
    return [until === undefined ? 'no' : `yes, for ${inMs(until - this.now)} ms`];
  }

  private answer(
    candidate: Candidate,
    flight: Flight,
    found: Outcome | 'no answer' | 'no connection',
  ): string[] {
    const outcome = typeof found === 'string' ? failure(flight.request, found) : found;
    const said = typeof found === 'string' ? found : `store: ${outcomeInWords(found)}`;
    return [said, ...candidate.answer(flight, outcome, this.now)];
  }

  private carryOut(request: LockRequest): Outcome {
    const { store, now } = this;
    if (request.verb === 'read') {
      return store.lease === null ? { kind: 'absent' } : { kind: 'found', stored: store.lease };
    }
    const result =
      request.verb === 'create'
        ? store.create(request.record, null, now)
        : store.replace(request.record, request.expected, null, now);
    if (result === 'conflict' || result === 'absent') return { kind: result };
    return { kind: 'applied', stored: store.lease! };
  }
}

function failure({ verb }: LockRequest, how: 'no answer' | 'no connection'): Outcome {
  const error = how === 'no answer' ? unclear : unreachable;
  if (verb === 'read') return { kind: 'failed', error };
  return how === 'no answer' ? { kind: 'unknown', error } : { kind: 'not-applied', error };
}

function outcomeInWords(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'found':
      return `revision ${outcome.stored.revision}: ${recordInWords(outcome.stored.record)}`;
    case 'applied':
      return `applied as revision ${outcome.stored.revision}`;
    case 'absent':
      return 'no lease';
    default:
      return outcome.kind;
  }
}

function numberIn(text: string): number {
  return Number(text.replaceAll(',', ''));
}

/** The settings that a transcript names: `With strict: true.` */
function configOf(lines: readonly string[]): ElectionConfig {
  const settings = lines
    .map((line) => SETTING.exec(line))
    .filter((match) => match !== null)
    .map(([, name, value]) => [name!, value === 'true' || (value !== 'false' && numberIn(value!))]);
  return { ...CONFIG, ...(Object.fromEntries(settings) as Partial<ElectionConfig>) };
}

/** The transcript as the machine runs now: of the old one, what happens is kept, and what follows from it is not. */
export function replay(transcript: string): string {
  const lines = transcript.split('\n');
  const world = new World(configOf(lines));
  return lines
    .filter((line) => !line.startsWith(OUTPUT))
    .flatMap((line) => {
      const happening = HAPPENING.exec(line);
      return happening === null ? [line] : world.happens(numberIn(happening[1]!), happening[2]!);
    })
    .join('\n');
}
