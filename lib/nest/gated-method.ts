import { Inject, ServiceUnavailableException } from '@nestjs/common';
import { NotLeaderError } from '../core/errors/not-leader.error.js';
import { LeadershipUnavailableError } from './errors/leadership-unavailable.error.js';
import { isPromiseLike, TRACK_WORK } from './gated-work.js';
import { getLeadershipToken } from './leader-election.constants.js';
import type { LeadershipService } from './leadership.service.js';

export interface Gate {
  /** Undefined: the only role of the application. */
  readonly role: string | undefined;
  readonly onFollower: 'skip' | 'throw';
}

type Method = (this: unknown, ...args: unknown[]) => unknown;
type GateLeadership = Pick<LeadershipService, 'isLeader' | 'leader' | 'role'> &
  Partial<Pick<LeadershipService, typeof TRACK_WORK>>;

const GATES = Symbol.for('nestjs-leader-election:gates');

/** The gates in front of a method, innermost first; empty for an ordinary one. */
export function gatesOf(method: object): readonly Gate[] {
  return (Reflect.getOwnMetadata(GATES, method) as Gate[] | undefined) ?? [];
}

/**
 * Puts a gate in front of a method by changing its descriptor: `applyDecorators` ignores a returned one. All metadata
 * is copied to the gate, so that decorators already applied (`@Cron` below) are found there, and those applied later
 * (`@Cron` above) write to it.
 */
export function gateMethod(
  prototype: object,
  key: string | symbol,
  descriptor: PropertyDescriptor,
  gate: Gate,
): void {
  const original = descriptor.value as Method;
  const earlier = gatesOf(original);
  if (earlier.some(({ role }) => role === gate.role)) return;
  const isAsync = returnsPromise(original, prototype, key);
  const leadershipKey = injectLeadership(prototype, gate.role);

  function gated(this: unknown, ...args: unknown[]): unknown {
    const name = () => `${ownerName(this, prototype)}.${String(key)}`;
    const leadership = leadershipAt(this, leadershipKey);
    if (leadership === undefined) return fail(new LeadershipUnavailableError(name()), isAsync);
    if (leadership.isLeader()) {
      const result = Reflect.apply(original, this, args);
      if (isPromiseLike(result)) leadership[TRACK_WORK]?.(result);
      return result;
    }
    if (isHttpHandler(gated)) return fail(unavailable(leadership, gate, name()), isAsync);
    if (gate.onFollower === 'throw') return fail(notLeader(leadership, gate, name()), isAsync);
    return isAsync ? Promise.resolve(undefined) : undefined;
  }

  for (const metadataKey of Reflect.getOwnMetadataKeys(original) as unknown[]) {
    Reflect.defineMetadata(metadataKey, Reflect.getOwnMetadata(metadataKey, original), gated);
  }
  Reflect.defineMetadata(GATES, [...earlier, gate], gated);
  Object.defineProperty(gated, 'name', { value: original.name, configurable: true });
  Object.defineProperty(gated, 'length', { value: original.length, configurable: true });
  descriptor.value = gated;
}

/** Gives an instance its leadership, also one that Nest did not inject into (`useFactory`, `useValue`). */
export function adopt(
  instance: object,
  role: string | undefined,
  leadership: LeadershipService,
): void {
  const target = instance as Record<symbol, unknown>;
  target[leadershipKeyOf(role)] = leadership;
}

/** The text is what Nest prints when it cannot inject the property. */
function leadershipKeyOf(role: string | undefined): symbol {
  const shown = role === undefined ? '…' : JSON.stringify(role);
  const decorator = role === undefined ? '@LeaderOnly()' : `@LeaderOnly(${shown})`;
  return Symbol.for(
    `${decorator} needs LeaderElectionModule.forRoot({ role: ${shown} }) in the application`,
  );
}

/**
 * Has Nest inject the service into every instance, for any scope and for subclasses too. The value lives beside the
 * instance, not in it, so that `toEqual(new Svc())` stays true.
 */
function injectLeadership(prototype: object, role: string | undefined): symbol {
  const key = leadershipKeyOf(role);
  if (key in prototype) return key;
  const leaderships = new WeakMap<object, GateLeadership>();
  Object.defineProperty(prototype, key, {
    configurable: true,
    enumerable: false,
    get(this: object) {
      return leaderships.get(this);
    },
    set(this: object, leadership: GateLeadership) {
      leaderships.set(this, leadership);
    },
  });
  Inject(getLeadershipToken(role))(prototype, key);
  return key;
}

function leadershipAt(instance: unknown, key: symbol): GateLeadership | undefined {
  if (typeof instance !== 'object' || instance === null) return undefined;
  return (instance as Record<symbol, GateLeadership | undefined>)[key];
}

function ownerName(instance: unknown, prototype: object): string {
  const owner = typeof instance === 'object' && instance !== null ? instance : prototype;
  return owner.constructor?.name ?? 'Object';
}

/** Keeps the shape of what a method returns: callers of an async one get a promise in every case. */
function returnsPromise(method: Method, prototype: object, key: string | symbol): boolean {
  if (Object.prototype.toString.call(method) === '[object AsyncFunction]') return true;
  const declared: unknown = Reflect.getMetadata('design:returntype', prototype, key);
  return typeof declared === 'function' && declared.name === 'Promise';
}

function fail(error: Error, isAsync: boolean): Promise<never> {
  if (isAsync) return Promise.reject(error);
  throw error;
}

/** The keys that Nest's route decorators leave on a method; asked at call time, as they may have been applied later. */
function isHttpHandler(method: object): boolean {
  return Reflect.hasOwnMetadata('path', method) && Reflect.hasOwnMetadata('method', method);
}

function notLeader(leadership: GateLeadership, gate: Gate, method: string): NotLeaderError {
  return new NotLeaderError(leadership.role ?? gate.role ?? '', leadership.leader, method);
}

/** No Retry-After: a follower stays one, and another replica answers now. */
function unavailable(leadership: GateLeadership, gate: Gate, method: string): Error {
  const cause = notLeader(leadership, gate, method);
  return new ServiceUnavailableException(
    {
      statusCode: 503,
      error: 'Service Unavailable',
      message: 'Only the leader answers this request.',
      role: cause.role,
      ...(cause.leader !== undefined && { leader: cause.leader }),
    },
    { cause },
  );
}
