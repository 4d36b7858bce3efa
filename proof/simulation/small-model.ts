import { isLeader, transition } from '../../lib/core/election-machine.js';
import {
  type ElectionConfig,
  type ElectionEvent,
  INITIAL_STATE,
} from '../../lib/core/election-state.js';
import { LockRequestError } from '../../lib/core/errors.js';
import type { ReadOutcome, WriteOutcome } from '../../lib/core/resource-lock.js';
import {
  type Answer,
  done,
  type Flight,
  type ModelBounds,
  type ModelNode,
  type ModelState,
  perform,
  without,
} from './model-state.js';

const LOST = new LockRequestError('lost', { reason: 'unclear' });

/** Two candidates on the pure machine, one store, and a network that may do anything within the bounds. */
export class SmallModel {
  private readonly configs: readonly ElectionConfig[];

  constructor(private readonly bounds: ModelBounds) {
    this.configs = ['a', 'b'].map((identity) => ({
      role: 'role',
      identity,
      ...bounds.durations,
      drainTimeoutMs: 1_000,
      releaseOnShutdown: true,
      strict: false,
      ineligibleGraceMs: 5_000,
    }));
  }

  initial(): ModelState {
    const idle: ModelNode = { state: INITIAL_STATE, wakeAt: Infinity, sent: 0 };
    const { duplicates, losses, stepDowns, late } = this.bounds;
    const blank: ModelState = {
      step: 0,
      nodes: [idle, idle],
      lease: null,
      history: [],
      flights: [],
      answers: [],
      duplicates,
      losses,
      stepDowns,
      late,
      path: null,
    };
    let begun = blank;
    for (const node of [0, 1]) {
      begun = this.tell(begun, node, { kind: 'start' }, 'start');
      if (this.bounds.watching) begun = this.tell(begun, node, { kind: 'watch-opened' }, 'watch');
    }
    return begun;
  }

  /** Two leaders at one instant of true time. */
  isBroken(state: ModelState): boolean {
    return state.nodes.every((node, index) => isLeader(node.state, this.clock(state, index)));
  }

  leads(state: ModelState): boolean {
    return state.nodes.some((node, index) => isLeader(node.state, this.clock(state, index)));
  }

  *successors(state: ModelState): Generator<ModelState> {
    const overdue = [0, 1].filter((node) => this.isOverdue(state, node)).length;
    if (state.step < this.bounds.steps && overdue <= state.late) {
      yield done({ ...state, step: state.step + 1, late: state.late - overdue }, 'time');
    }
    for (const flight of state.flights) yield* this.fates(state, flight);
    for (const answer of state.answers) {
      const rest = without(state.answers, answer);
      yield this.deliver({ ...state, answers: rest }, answer);
      if (state.losses > 0) {
        yield done({ ...state, answers: rest, losses: state.losses - 1 }, 'answer lost');
      }
    }
    for (const node of [0, 1]) yield* this.moves(state, node);
  }

  private isOverdue(state: ModelState, node: number): boolean {
    return state.nodes[node]!.wakeAt <= this.clock(state, node) || this.hasTimedOut(state, node);
  }

  private hasTimedOut(state: ModelState, node: number): boolean {
    const { pending } = state.nodes[node]!.state;
    if (pending === null) return false;
    const elapsed = this.clock(state, node) - pending.startedAt.now;
    return elapsed >= this.configs[node]!.requestTimeoutMs;
  }

  private *moves(state: ModelState, node: number): Generator<ModelState> {
    const { state: machine, wakeAt } = state.nodes[node]!;
    const now = this.clock(state, node);
    if (wakeAt <= now) yield this.tell(state, node, { kind: 'tick' }, 'tick');
    const { pending } = machine;
    if (pending !== null && this.hasTimedOut(state, node)) {
      yield this.deliver(state, this.silence(node, pending.id, pending.purpose === 'read'));
    }
    if (state.stepDowns > 0 && isLeader(machine, now)) {
      const fewer = { ...state, stepDowns: state.stepDowns - 1 };
      const withdrawn = this.tell(
        fewer,
        node,
        { kind: 'withdraw', reason: 'stepped-down', cooldownMs: 0 },
        'step down',
      );
      const term = machine.tenure!.term;
      yield this.tell(withdrawn, node, { kind: 'drained', term }, 'drained');
    }
    if (this.bounds.watching) {
      for (const lease of state.history) {
        if (lease.revision <= (machine.observation?.revision ?? 0n)) continue;
        const event = { kind: 'watch-changed', lease, revision: lease.revision } as const;
        yield this.tell(state, node, event, `watch ${lease.revision}`);
      }
    }
  }

  private *fates(state: ModelState, flight: Flight): Generator<ModelState> {
    const rest = without(state.flights, flight);
    yield this.arrive({ ...state, flights: rest }, flight);
    if (state.duplicates > 0 && flight.request.verb !== 'read') {
      yield this.arrive({ ...state, duplicates: state.duplicates - 1 }, flight);
    }
    if (state.losses > 0) {
      yield done({ ...state, flights: rest, losses: state.losses - 1 }, 'request lost');
    }
  }

  private arrive(state: ModelState, { node, id, request }: Flight): ModelState {
    const [after, outcome] = perform(state, request);
    const waits = state.nodes[node]!.state.pending?.id === id;
    const answers = waits
      ? [...state.answers, { node, id, outcome, verb: request.verb }]
      : state.answers;
    return done({ ...after, answers }, `${'ab'[node]} ${request.verb} arrives: ${outcome.kind}`);
  }

  private deliver(state: ModelState, { node, id, outcome, verb }: Answer): ModelState {
    const event: ElectionEvent =
      verb === 'read'
        ? { kind: 'read-done', id, outcome: outcome as ReadOutcome }
        : { kind: 'write-done', id, outcome: outcome as WriteOutcome };
    return this.tell(state, node, event, `${verb} is ${outcome.kind}`);
  }

  private silence(node: number, id: number, isRead: boolean): Answer {
    return isRead
      ? { node, id, verb: 'read', outcome: { kind: 'failed', error: LOST } }
      : { node, id, verb: 'replace', outcome: { kind: 'unknown', error: LOST } };
  }

  private tell(state: ModelState, index: number, what: ElectionEvent, name: string): ModelState {
    const now = this.clock(state, index);
    const wallMicros = now * 1_000;
    const at = { now, wallMicros, wallAfterMicros: wallMicros, suspendedMs: 0, random: 0 };
    const node = state.nodes[index]!;
    const { state: machine, effects } = transition(node.state, what, at, this.configs[index]!);
    let { wakeAt, sent } = node;
    const flights = [...state.flights];
    for (const effect of effects) {
      if (effect.kind === 'wake') wakeAt = effect.at;
      if (effect.kind === 'request' && sent < this.bounds.requests) {
        sent++;
        flights.push({ node: index, id: effect.id, request: effect.request });
      }
    }
    const nodes = state.nodes.map((other, i) =>
      i === index ? { state: machine, wakeAt, sent } : other,
    );
    // An answer that is still on its way to a request given up changes nothing any more.
    const answers = state.answers.filter(
      ({ node: to, id }) => to !== index || machine.pending?.id === id,
    );
    return done({ ...state, nodes, flights, answers }, `${'ab'[index]} ${name}`);
  }

  private clock({ step }: ModelState, node: number): number {
    return step * this.bounds.clocks[node]!;
  }
}
