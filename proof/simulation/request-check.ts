import type { LeaderRequest, LeaseRecord } from '../../lib/core/lease-record.js';
import type { SuccessorChoice } from '../../lib/core/election-state.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

/** An operator who writes requests to the leader at random, and what the leader may make of them (R27). */
export class RequestCheck {
  private asked = 0;
  /** Requests to another term or holder than that of the lease at the time. */
  private readonly void = new Set<string>();
  /** Which process has answered which request. */
  private readonly answered = new Set<string>();

  constructor(private readonly world: World) {}

  /** Severity: to the present term, to the one before, to another holder; with a successor or without. */
  ask(severity: number): void {
    const { store, scenario, replicas } = this.world;
    const record = store.lease?.record;
    if (record === undefined) return;
    const { leaseTransitions, holderIdentity } = record;
    const isOfTermBefore = severity < 0.3;
    const isOfOther = severity >= 0.3 && severity < 0.4;
    const living = replicas.filter(({ alive }) => alive);
    const other = living[Math.floor(severity * 97) % Math.max(1, living.length)];
    const names = scenario.directs && severity > 0.7;
    const request: LeaderRequest = {
      id: `request ${++this.asked}`,
      asks: severity > 0.6 && severity < 0.65 ? 'read-schedule' : 'step-down',
      transitions: isOfTermBefore ? leaseTransitions - 1 : leaseTransitions,
      holderIdentity: isOfOther ? 'another' : holderIdentity,
      by: 'operator',
      successor: names ? (other?.name ?? 'nobody') : undefined,
    };
    if (isOfTermBefore || isOfOther) this.void.add(request.id);
    store.mark(request);
    this.world.announce();
  }

  successorFor(replica: Replica, name: string): SuccessorChoice {
    const member = this.world.replicas.find((each) => each.name === name && each.alive);
    const uid = member?.config.memberUid;
    if (uid === undefined || member === replica) return { refused: `${name} cannot follow` };
    return { uid };
  }

  /** The leader has heard of a request, and says so before it does anything. */
  heard(replica: Replica, request: LeaderRequest, refused: string): void {
    const { world } = this;
    const { lawless, restores } = world.scenario;
    const { id, transitions, successor, asks } = request;
    world.count(refused === '' ? 'request-honoured' : 'request-refused');
    if (this.void.has(id) && !lawless && !restores) {
      world.violate('request-of-its-term', `${replica.name} answers one to #${transitions}`);
    }
    if (refused !== '' && successor === undefined) {
      world.violate('request-answered', `${replica.name} refuses what every leader can do`);
    }
    const key = `${replica.name} ${id}`;
    if (this.answered.has(key)) {
      world.violate('request-once', `${replica.name} answers ${id} again`);
    }
    this.answered.add(key);
    if (asks === 'step-down' && refused === '') world.count('stepped-down-as-asked');
  }

  /** Whoever writes over a request to itself has heard it, and says so. */
  checkApplied(replica: Replica, record: LeaseRecord, before: LeaseRecord | undefined): void {
    const request = before?.request;
    if (request === undefined || request.successor !== undefined) return;
    const isOwn = before!.holderIdentity === replica.config.identity;
    const isSameTerm = before!.leaseTransitions === record.leaseTransitions;
    const isMeant =
      request.transitions === before!.leaseTransitions &&
      request.holderIdentity === before!.holderIdentity;
    const { lawless, clones, restores, sharedIdentity, kinds } = this.world.scenario;
    if (lawless || clones || restores || sharedIdentity || kinds.includes('webhook')) return;
    if (!isOwn || !isSameTerm || !isMeant || record.answer?.id === request.id) return;
    const detail = `${replica.name} writes over ${request.id} without an answer`;
    this.world.violate('request-answered', detail);
  }
}
