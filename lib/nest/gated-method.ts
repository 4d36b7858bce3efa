import { EMPTY, Observable, throwError } from 'rxjs';
import type { Term } from '../core/term.js';
import { type EntryPoint, entryPointAt, isEntryPoint } from './entry-point.js';
import { LeadershipUnavailableError, NotLeaderError } from './errors.js';
import { injectLeadership, leadershipAt, leadershipKeyOf } from './gate-leadership.js';
import { enterTerm, leaveTerm } from '../election/current-term.js';
import { ELECTION_ACTIVITY } from '../election/election-activity.js';
import { GATED_WORK, openTermOf } from '../election/gated-work.js';
import {
  GATE_SKIPPED,
  type GateLeadership,
  runGated,
  runShadowed,
  settleWork,
  shadowOf,
} from './gated-work.js';
import { MethodMarks, prototypeOf } from './method-marks.js';
import type { ShadowSkips } from './shadow-skips.js';
import { refusalFor } from './transport-refusals.js';

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What a call returns if its method does not run: as close as possible to what the caller expects of the method. */
interface ReturnShape {
  /** An empty value in the shape of the method. */
  skipped(): unknown;
  /** @throws the error, unless the shape can carry it */
  failed(error: Error): unknown;
}

/**
 * The shape follows from the function (async, generator) or, where TypeScript emits it, from the declared return type,
 * of which only the outermost part is known (a Promise, an Observable). An unknown shape is undefined.
 */
function returnShape(method: Method, prototype: object, key: string | symbol): ReturnShape {
  const kind = Object.prototype.toString.call(method);
  if (kind === '[object AsyncFunction]') return PROMISE;
  if (kind === '[object AsyncGeneratorFunction]') return ASYNC_GENERATOR;
  if (kind === '[object GeneratorFunction]') return GENERATOR;
  const declared: unknown = Reflect.getMetadata('design:returntype', prototype, key);
  if (typeof declared !== 'function') return VALUE;
  if (declared.name === 'Promise') return PROMISE;
  if (declared === Observable || declared.name === 'Observable') return OBSERVABLE;
  if (declared === Array) return { ...VALUE, skipped: () => [] };
  if (declared === Map) return { ...VALUE, skipped: () => new Map() };
  if (declared === Set) return { ...VALUE, skipped: () => new Set() };
  return VALUE;
}

function fail(error: Error): never {
  throw error;
}

const VALUE: ReturnShape = { skipped: () => undefined, failed: fail };

const PROMISE: ReturnShape = {
  skipped: () => Promise.resolve(undefined),
  failed: (error) => Promise.reject(error),
};

const OBSERVABLE: ReturnShape = {
  skipped: () => EMPTY,
  failed: (error) => throwError(() => error),
};

const ASYNC_GENERATOR: ReturnShape = {
  skipped: () => noneLater(),
  failed: (error) => noneLater(error),
};

const GENERATOR: ReturnShape = { skipped: () => none(), failed: (error) => none(error) };

// eslint-disable-next-line require-yield -- it has nothing to yield
async function* noneLater(error?: Error): AsyncGenerator<never, void> {
  if (error !== undefined) return Promise.reject(error);
}

// eslint-disable-next-line require-yield -- it has nothing to yield
function* none(error?: Error): Generator<never, void> {
  if (error !== undefined) throw error;
}

export interface Gate {
  /** Undefined: the only role of the application. */
  readonly role: string | undefined;
  /** Undefined: not chosen, so the call is skipped. */
  readonly onFollower: 'skip' | 'throw' | undefined;
  /** Closed only if a decorator of the class has made the method a handler. */
  readonly ifHandler?: true;
  /** The class whose decorator put it there; absent if the method has it itself. */
  readonly ofClass?: string;
}

/** The gates in front of a method, innermost first. */
export const GATES = new MethodMarks<Gate>('nestjs-leader-election:gates');

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
  if (GATES.own(prototype, key, original).some(({ role }) => role === gate.role)) return;
  const shape = returnShape(original, prototype, key);
  const method = { prototype, key, gate, shape, handlers: new WeakMap() };
  const leadershipKey = leadershipKeyOf(gate.role);
  const counted = nameAt(prototype, key);
  injectLeadership(prototype, gate.role);

  /** Nothing here is kept by a closure: each call would then allocate its arguments and what the closure knows. */
  function gated(this: unknown, ...args: unknown[]): unknown {
    const leadership = leadershipAt(this, leadershipKey);
    if (gate.ifHandler && !isEntryPoint(handlerAt(method, this, leadership))) {
      return Reflect.apply(original, this, args);
    }
    const shadow = shadowOf(leadership);
    if (leadership !== undefined && shadow !== undefined) {
      return callShadowed(this, leadership, shadow, args);
    }
    if (leadership?.isLeader() !== true) return answerOfClosedGate(method, this, leadership);
    if (leadership[ELECTION_ACTIVITY]?.observed !== undefined) {
      return callObserved(this, leadership, args);
    }
    const term = openTermOf(leadership);
    const inFlight = leadership[GATED_WORK];
    inFlight?.begin(counted);
    const outer = enterTerm(term);
    let result: unknown;
    try {
      result = Reflect.apply(original, this, args);
    } catch (error) {
      leaveTerm(outer);
      inFlight?.end(counted);
      throw error;
    }
    leaveTerm(outer);
    if (!isValue(result)) return settle(this, leadership, term, result);
    inFlight?.end(counted);
    return result;
  }

  function callShadowed(
    self: unknown,
    leadership: GateLeadership,
    shadow: ShadowSkips,
    args: unknown[],
  ): unknown {
    const { name } = handlerAt(method, self, leadership);
    return runShadowed(leadership, shadow, name, () => Reflect.apply(original, self, args));
  }

  function callObserved(self: unknown, leadership: GateLeadership, args: unknown[]): unknown {
    const work = (): unknown => Reflect.apply(original, self, args);
    return runGated(leadership, counted, work, onEndOf(self, leadership));
  }

  function settle(
    self: unknown,
    leadership: GateLeadership,
    term: Term | undefined,
    result: unknown,
  ): unknown {
    return settleWork(leadership, term, counted, result, onEndOf(self, leadership));
  }

  function onEndOf(self: unknown, leadership: GateLeadership) {
    return () => endOfStream(method, self, leadership);
  }

  carryOver(original, gated);
  GATES.add(prototype, key, gated, gate);
  descriptor.value = gated;
}

interface GatedMethod {
  readonly prototype: object;
  readonly key: string | symbol;
  readonly gate: Gate;
  readonly shape: ReturnShape;
  /** What is known of it by the prototype of the instance, as looking it up takes longer than all else that a gate does. */
  readonly handlers: WeakMap<object, GatedHandler>;
}

/** The method as instances of one class have it. */
interface GatedHandler extends EntryPoint {
  /** Class and method. */
  readonly name: string;
}

/**
 * Until the application has started, a module may still make a handler of a method: nothing is kept before a leader is known.
 * Nor is ever that it is none, where the gate is for handlers: a gate that is open by mistake is worse than a slow one.
 */
function handlerAt(
  { prototype, key, gate, handlers }: GatedMethod,
  self: unknown,
  leadership: GateLeadership | undefined,
): GatedHandler {
  const level = prototypeOf(self) ?? prototype;
  const known = handlers.get(level);
  if (known !== undefined) return known;
  const handler = { ...entryPointAt(level, key), name: nameAt(level, key) };
  const isForGood = !gate.ifHandler || isEntryPoint(handler);
  if (leadership?.leader !== undefined && isForGood) handlers.set(level, handler);
  return handler;
}

/** What a caller on a follower gets; on an object without a service, too. */
function answerOfClosedGate(
  method: GatedMethod,
  self: unknown,
  leadership: GateLeadership | undefined,
): unknown {
  const { gate, shape } = method;
  const { transports, name } = handlerAt(method, self, leadership);
  if (leadership === undefined) return shape.failed(new LeadershipUnavailableError(name));
  if (transports.length === 0 && gate.onFollower !== 'throw') {
    leadership[GATE_SKIPPED]?.(name);
    return shape.skipped();
  }
  leadership[ELECTION_ACTIVITY]?.observed?.closed('rejected', name);
  return shape.failed(refusalFor(notLeader(leadership, gate, name), transports));
}

/** A consumer of a stream sees it complete; a request that waits for an answer must not take a part for the whole. */
function endOfStream(
  method: GatedMethod,
  self: unknown,
  leadership: GateLeadership,
): Error | undefined {
  const { transports, name } = handlerAt(method, self, leadership);
  if (transports.length === 0 || transports.some((each) => each === 'sse' || each === 'ws')) {
    return undefined;
  }
  return refusalFor(notLeader(leadership, method.gate, name), transports);
}

/** What decorators and callers look for on a method. */
function carryOver(original: Method, gated: Method): void {
  for (const metadataKey of Reflect.getOwnMetadataKeys(original) as unknown[]) {
    Reflect.defineMetadata(metadataKey, Reflect.getOwnMetadata(metadataKey, original), gated);
  }
  Object.defineProperty(gated, 'name', { value: original.name, configurable: true });
  Object.defineProperty(gated, 'length', { value: original.length, configurable: true });
}

/** True for a value that cannot still be under way. */
function isValue(result: unknown): boolean {
  return (typeof result !== 'object' && typeof result !== 'function') || result === null;
}

function nameAt(prototype: object, key: string | symbol): string {
  return `${prototype.constructor?.name ?? 'Object'}.${String(key)}`;
}

function notLeader(leadership: GateLeadership, gate: Gate, method: string): NotLeaderError {
  return new NotLeaderError(leadership.role ?? gate.role ?? '', leadership.leader, method);
}
