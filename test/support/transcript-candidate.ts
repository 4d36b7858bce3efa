import { leadsUntil, transition } from '../../lib/core/election-machine.js';
import {
  type ElectionConfig,
  type ElectionEffect,
  type ElectionEvent,
  type ElectionState,
  INITIAL_STATE,
} from '../../lib/core/election-state.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import type { ReadOutcome, WriteOutcome } from '../../lib/core/resource-lock.js';

const EPOCH_MICROS = 1_000_000_000_000;

type RequestEffect = Extract<ElectionEffect, { kind: 'request' }>;

/** A request on its way, and the answer to it once the store has carried it out. */
export interface Flight extends RequestEffect {
  readonly sentAt: number;
  outcome?: ReadOutcome | WriteOutcome;
}

/** One process of a transcript: the machine alone, and clocks of its own. Every time it is given is the transcript's. */
export class Candidate {
  /** Frozen or dead: it neither wakes nor hears of anything, though its requests may still reach the store. */
  isStill = false;
  wallAheadMs = 0;
  flight: Flight | undefined;
  /** Requests it no longer waits for, which the store may carry out yet. */
  readonly lost: Flight[] = [];
  /** The last term that ended. */
  endedTerm: number | undefined;
  private state: ElectionState = INITIAL_STATE;
  private sleptMs = 0;
  private wishedAt = Infinity;

  constructor(private readonly config: ElectionConfig) {}

  get name(): string {
    return this.config.identity;
  }

  get wakeAt(): number {
    return this.wishedAt + this.sleptMs;
  }

  get timeoutAt(): number {
    const { flight } = this;
    return flight === undefined ? Infinity : flight.sentAt + flight.timeoutMs;
  }

  get flightNow(): Flight {
    if (this.flight === undefined) throw new Error(`${this.name} waits for no answer`);
    return this.flight;
  }

  /** The request whose answer is under way, though nobody may wait for it any more. */
  get answered(): Flight {
    const flights = [...this.lost, ...(this.flight === undefined ? [] : [this.flight])];
    const answered = flights.find(({ outcome }) => outcome !== undefined);
    if (answered === undefined) throw new Error(`no answer is under way to ${this.name}`);
    return answered;
  }

  lose(): Flight {
    const flight = this.flightNow;
    this.lost.push(flight);
    this.flight = undefined;
    return flight;
  }

  sleep(ms: number): void {
    this.sleptMs += ms;
  }

  /** What it decides, in words. */
  say(event: ElectionEvent, at: number): string[] {
    const wallMicros = this.wallMicros(at);
    const instant = {
      now: at - this.sleptMs,
      wallMicros,
      wallAfterMicros: wallMicros,
      suspendedMs: this.sleptMs,
      random: 0,
    };
    const { state, effects } = transition(this.state, event, instant, this.config);
    this.state = state;
    return effects.flatMap((effect) => this.perform(effect, at));
  }

  answer(flight: Flight, outcome: ReadOutcome | WriteOutcome, at: number): string[] {
    if (this.flight === flight) this.flight = undefined;
    const { id } = flight;
    return this.say(
      flight.request.verb === 'read'
        ? { kind: 'read-done', id, outcome: outcome as ReadOutcome }
        : { kind: 'write-done', id, outcome: outcome as WriteOutcome },
      at,
    );
  }

  leadsUntil(at: number): number | undefined {
    const clocks = {
      now: () => at - this.sleptMs,
      wallMicros: () => this.wallMicros(at),
      suspendedMs: () => this.sleptMs,
    };
    const { validUntil } = leadsUntil(this.state, clocks, this.config);
    return validUntil === undefined ? undefined : validUntil + this.sleptMs;
  }

  private wallMicros(at: number): number {
    return EPOCH_MICROS + (at + this.wallAheadMs) * 1_000;
  }

  private perform(effect: ElectionEffect, at: number): string[] {
    if (effect.kind === 'wake') {
      if (effect.at === this.wishedAt) return [];
      this.wishedAt = effect.at;
      return effect.at === Infinity ? [] : [`wakes at ${inMs(this.wakeAt)}`];
    }
    if (effect.kind === 'request') this.flight = { ...effect, sentAt: at };
    if (effect.kind === 'abandon-request') this.lose();
    if (effect.kind === 'revoke') this.endedTerm = effect.term;
    const leads = this.leadsUntil(at);
    const validity = isOfValidity(effect) && leads !== undefined;
    return [wordsOf(effect) + (validity ? `, valid until ${inMs(leads)}` : '')];
  }
}

function isOfValidity({ kind }: ElectionEffect): boolean {
  return kind === 'grant' || kind === 'renewed';
}

function wordsOf(effect: Exclude<ElectionEffect, { kind: 'wake' }>): string {
  switch (effect.kind) {
    case 'request':
      return `asks to ${requestInWords(effect)}, within ${inMs(effect.timeoutMs)} ms`;
    case 'abandon-request':
      return 'waits no longer for the answer';
    case 'grant':
      return `leads: term ${effect.term}, fencing token ${effect.fencingToken}`;
    case 'revoke':
      return `leads no more: term ${effect.term}, ${effect.reason}`;
    case 'stop':
      return 'stops';
    case 'leader-changed':
      return effect.leader === undefined ? 'tells: no leader' : `tells: leader ${effect.leader}`;
    case 'settling':
      return `tells: settling, term ${effect.term} in ${inMs(effect.settleMs)} ms`;
    case 'renewed':
      return 'tells: renewed';
    case 'released':
      return `tells: released term ${effect.term}`;
    case 'named-in-vain':
      return `tells: ${effect.uid} was named in vain, as ${effect.leader} leads`;
    case 'unclean-acquisition':
      return `tells: unclean acquisition, the lease was ${effect.was}`;
    case 'eligibility-changed':
      return effect.isEligible ? 'tells: eligible' : 'tells: ineligible';
    case 'uncoordinated-acquisition':
      return `tells: leads a lease that nobody coordinates, term ${effect.term}`;
    case 'ineligible-acquisition':
      return `tells: leads although ineligible, term ${effect.term}`;
    case 'choose-successor':
      return `looks for the member ${effect.request.successor}`;
    case 'request-answered':
      return `tells: ${effect.refused === '' ? 'does what it was asked for' : `refuses, as ${effect.refused}`}`;
    case 'schedule-changed':
      return 'tells: others have changed the schedule';
    case 'watch-recovered':
      return 'tells: the watch is open again';
    case 'failed':
      return `tells: failed, ${effect.error.code}`;
    default:
      return effect satisfies never;
  }
}

function requestInWords({ purpose, request }: RequestEffect): string {
  if (request.verb === 'read') return 'read';
  const on = request.verb === 'create' ? 'create' : `on revision ${request.expected.revision}`;
  return `${purpose}, ${on}: ${recordInWords(request.record)}`;
}

export function recordInWords(record: LeaseRecord): string {
  const { holderIdentity, leaseTransitions: term, renewTimeMicros, request, answer } = record;
  const asked = request === undefined ? '' : `, asked to ${request.asks}`;
  const said = answer === undefined ? '' : `, with an answer of term ${answer.transitions}`;
  const marks = asked + said;
  if (holderIdentity === '') {
    return `nobody, term ${term}${record.releasedTransitions === term ? ' released' : ''}${marks}`;
  }
  return `${holderIdentity}, term ${term}, renewed ${inMs((renewTimeMicros! - EPOCH_MICROS) / 1_000)}${marks}`;
}

export function inMs(ms: number): string {
  return ms.toLocaleString('en-US');
}
