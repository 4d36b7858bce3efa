import type { ElectionState } from '../../lib/core/election-state.js';
import type { ObservedLease } from '../../lib/core/lease-record.js';
import type { ModelBounds, ModelState } from './model-state.js';
import { SmallModel } from './small-model.js';

/** Looked up once: under jest every look-up of a global is slow. */
const { imul } = Math;

export interface ExplorationResult {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  /** States in which somebody leads: the search has seen what it is about. */
  readonly statesWithLeader: number;
  /** False if the limit of states was reached before everything was seen. */
  readonly complete: boolean;
  /** The shortest way to two leaders, if there is one. */
  readonly broken: readonly string[] | null;
}

/** Visits every state of the model within its bounds, breadth first, so that what breaks it is as short as possible. */
export class Exploration {
  private readonly model: SmallModel;
  /** Hashes of 53 bits: at ten million states the odds that any two collide are below one in a hundred. */
  private readonly seen = new Set<number>();
  private readonly machineKeys = new WeakMap<ElectionState, number>();

  constructor(bounds: ModelBounds) {
    this.model = new SmallModel(bounds);
  }

  run(mostStates: number): ExplorationResult {
    const initial = this.model.initial();
    this.isNew(initial);
    let frontier = [initial];
    let depth = 0;
    let transitions = 0;
    let statesWithLeader = 0;
    const result = (complete: boolean, broken: ModelState | null): ExplorationResult => ({
      states: this.seen.size,
      transitions,
      depth,
      statesWithLeader,
      complete,
      broken: broken && pathOf(broken),
    });
    while (frontier.length > 0) {
      const next: ModelState[] = [];
      for (const state of frontier) {
        if (this.seen.size > mostStates) return result(false, null);
        for (const successor of this.model.successors(state)) {
          transitions++;
          if (!this.isNew(successor)) continue;
          if (this.model.isBroken(successor)) return result(false, successor);
          if (this.model.leads(successor)) statesWithLeader++;
          next.push(successor);
        }
      }
      frontier = next;
      depth++;
    }
    return result(true, null);
  }

  private isNew(state: ModelState): boolean {
    const hash = hashOf(this.keyOf(state));
    if (this.seen.has(hash)) return false;
    this.seen.add(hash);
    return true;
  }

  private keyOf(state: ModelState): string {
    const { step, nodes, lease, history, flights, answers } = state;
    const machines = nodes.map(
      (node) => `${this.machineKey(node.state)},${node.wakeAt},${node.sent}`,
    );
    const sent = flights.map(({ node, id, request }) => `${node}${id}${textOf(request)}`).sort();
    const answered = answers
      .map(({ node, id, outcome }) => `${node}${id}${textOf(outcome)}`)
      .sort();
    const budget = `${state.duplicates},${state.losses},${state.stepDowns},${state.late}`;
    const stored = `${leaseText(lease)}/${history.map(leaseText).join('/')}`;
    return `${step};${machines.join(';')};${stored};${sent.join()};${answered.join()};${budget}`;
  }

  private machineKey(machine: ElectionState): number {
    const known = this.machineKeys.get(machine);
    if (known !== undefined) return known;
    // No clock goes back here, so that the last reading of one decides nothing.
    const key = hashOf(textOf({ ...machine, latestNow: null }));
    this.machineKeys.set(machine, key);
    return key;
  }
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_name, field: unknown) =>
    typeof field === 'bigint' ? Number(field) : field,
  );
}

function leaseText(lease: ObservedLease | null): string {
  return lease === null ? '-' : `${lease.revision}${lease.timingKey}`;
}

function pathOf(state: ModelState): string[] {
  const actions: string[] = [];
  for (let path = state.path; path !== null; path = path.before) actions.push(path.action);
  return actions.toReversed();
}

/** cyrb53 */
function hashOf(text: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    high = imul(high ^ code, 2654435761);
    low = imul(low ^ code, 1597334677);
  }
  high = imul(high ^ (high >>> 16), 2246822507) ^ imul(low ^ (low >>> 13), 3266489909);
  low = imul(low ^ (low >>> 16), 2246822507) ^ imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
