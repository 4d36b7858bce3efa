import type { LockRequest } from '../../lib/core/election-state.js';
import { LockRequestError } from '../../lib/core/errors.js';
import type { ReadOutcome, WriteOutcome } from '../../lib/core/resource-lock.js';
import { ApiServer } from './api-server.js';
import type { FaultKind } from './fault.js';
import type { RandomStream } from './random-stream.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

export type Outcome = ReadOutcome | WriteOutcome;

/** One request on its way. */
export interface Flight {
  readonly replica: Replica;
  readonly request: LockRequest;
  readonly sentAt: number;
  readonly answer: (outcome: Outcome) => void;
  /** The client no longer waits: whatever still arrives is a ghost. */
  givenUp: boolean;
  /** How a webhook alters it; undefined: it does not. */
  webhook: number | undefined;
}

/** Duplicates and ghosts arrive up to this much later. */
const LATEST_GHOST_MS = 20_000;

/** Carries requests to the API server and answers back, as well as the link of the moment lets it. */
export class Network {
  private readonly server: ApiServer;
  private readonly random: RandomStream;

  constructor(
    private readonly world: World,
    slot: number,
  ) {
    this.server = new ApiServer(world);
    this.random = world.stream(`network ${slot}`);
  }

  delay(): number {
    const { leastDelayMs, mostDelayMs } = this.world.scenario.network;
    return this.random.between(leastDelayMs, mostDelayMs);
  }

  send(flight: Flight): void {
    const { world } = this;
    if (this.strikes(flight, 'refuse')) {
      world.queue.after(1, flight.replica, () => flight.answer(notSent(flight.request)));
      return;
    }
    if (this.strikes(flight, 'reset')) {
      world.queue.after(this.delay(), flight.replica, () => flight.answer(silence(flight.request)));
    }
    if (this.suffers(flight, 'drop-requests') || this.strikes(flight, 'lose-request')) return;
    world.queue.after(this.requestDelay(flight), null, () => this.arrive(flight));
    if (this.strikes(flight, 'duplicate')) {
      const later = this.ghostDelay();
      world.queue.after(later, null, () => this.server.repeat(flight));
    }
  }

  private requestDelay(flight: Flight): number {
    if (this.strikes(flight, 'ghost')) return this.ghostDelay();
    return this.delay() + this.slowness(flight) + this.steadySlowness(flight) / 2;
  }

  /** The same for each request, up to more than a leader can live with. */
  private steadySlowness(flight: Flight): number {
    const { steadyMs } = this.world.scenario.network;
    if (!this.suffers(flight, 'steady-slow')) return steadyMs;
    const { link, config } = flight.replica;
    this.world.count('steady-slow');
    return Math.max(steadyMs, link.severity('steady-slow') * 1.1 * config.renewDeadlineMs);
  }

  /** Ghosts come before everything is healed: after that the schedule looks for liveness. */
  private ghostDelay(): number {
    const left = Math.max(0, this.world.scenario.healAt - this.world.now - 1);
    return Math.min(left, this.random.next() ** 2 * LATEST_GHOST_MS);
  }

  private slowness(flight: Flight): number {
    const { link } = flight.replica;
    if (!this.suffers(flight, 'slow')) return 0;
    const { requestTimeoutMs } = flight.replica.config;
    const left = Math.max(0, this.world.scenario.healAt - this.world.now - 1);
    return Math.min(left, this.random.next() * link.severity('slow') * 1.5 * requestTimeoutMs);
  }

  private arrive(flight: Flight): void {
    const { world } = this;
    if (this.suffers(flight, 'hold-requests')) {
      const until = flight.replica.link.endOf('hold-requests') + this.delay();
      world.queue.at(until, null, () => this.arrive(flight));
      return;
    }
    if (world.now < world.serverDownUntil) return this.respond(flight, notSent(flight.request));
    if (this.strikes(flight, 'fail-before-applying')) {
      return this.respond(flight, silence(flight.request));
    }
    if (this.strikes(flight, 'reject')) return this.respond(flight, this.rejection(flight));
    flight.webhook = this.strikes(flight, 'webhook')
      ? flight.replica.link.severity('webhook')
      : undefined;
    let outcome = this.strikes(flight, 'stale-read')
      ? this.server.performOnCache(flight)
      : this.server.perform(flight);
    // A proxy that got no answer in time sends again, and it is the second answer that comes back.
    if (this.strikes(flight, 'resend')) outcome = this.server.perform(flight);
    if (this.strikes(flight, 'fail-after-applying')) outcome = silence(flight.request);
    this.respond(flight, outcome);
  }

  private respond(flight: Flight, outcome: Outcome): void {
    const { world } = this;
    if (this.suffers(flight, 'drop-responses') || this.strikes(flight, 'lose-response')) return;
    const held = this.suffers(flight, 'hold-responses')
      ? flight.replica.link.endOf('hold-responses') - world.now
      : 0;
    const delay = held + this.delay() + this.slowness(flight) + this.steadySlowness(flight) / 2;
    world.queue.after(delay, flight.replica, () => flight.answer(outcome));
  }

  private rejection({ request }: Flight): Outcome {
    const retryAfterMs = this.random.pick([undefined, 1_000, 5_000, 60_000]);
    if (retryAfterMs !== undefined) this.world.count('retry-after');
    const error = new LockRequestError('too many requests', {
      reason: 'rejected',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
    return request.verb === 'read' ? { kind: 'failed', error } : { kind: 'not-applied', error };
  }

  private suffers({ replica }: Flight, kind: FaultKind): boolean {
    return replica.link.suffers(kind, this.world.now);
  }

  /** A fault that hits only some of the requests while it lasts. */
  private strikes(flight: Flight, kind: FaultKind): boolean {
    if (!this.suffers(flight, kind)) return false;
    return this.random.chance(0.3 + 0.7 * flight.replica.link.severity(kind));
  }
}

const UNCLEAR = new LockRequestError('no answer', { reason: 'unclear' });
const UNREACHABLE = new LockRequestError('refused', { reason: 'unreachable' });

export function silence({ verb }: LockRequest): Outcome {
  return verb === 'read' ? { kind: 'failed', error: UNCLEAR } : { kind: 'unknown', error: UNCLEAR };
}

function notSent({ verb }: LockRequest): Outcome {
  return verb === 'read'
    ? { kind: 'failed', error: UNREACHABLE }
    : { kind: 'not-applied', error: UNREACHABLE };
}
