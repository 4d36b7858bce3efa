import { Logger } from '@nestjs/common';
import { classMethod } from './method-marks.js';

/**
 * True in an application that `repl()` of @nestjs/core made. It is an application context like any other, and only its
 * logger gives it away.
 */
export function isRepl(): boolean {
  const { staticInstanceRef } = Logger as unknown as { readonly staticInstanceRef?: object };
  return staticInstanceRef?.constructor?.name === 'ReplLogger';
}

/**
 * How a caller waits for the answer of a method. `call`: a message that is answered by the rejection of its handler.
 */
export type Transport = 'http' | 'sse' | 'rpc' | 'ws' | 'graphql' | 'call';

/** What Nest makes of a method, besides calling it from other code. */
export interface EntryPoint {
  /** A request waits for what the method returns. */
  readonly transports: readonly Transport[];
  /** The decorator by which it consumes messages or events that will not be sent again. */
  readonly consumes: string | undefined;
}

/** The metadata that Nest's packages leave on their handlers, and by which they find them. */
const RPC_HANDLER_TYPE = 'microservices:handler_type';
const RPC_EVENT = 2;

const CONSUMERS_BY_METHOD = [
  { key: 'bull:queue_process', decorator: '@Process()' },
  { key: 'EVENT_LISTENER_METADATA', decorator: '@OnEvent()' },
];
const CONSUMERS_BY_CLASS = [
  { key: 'bullmq:processor_metadata', method: 'process', decorator: '@Processor()' },
  { key: '__eventsHandler__', method: 'handle', decorator: '@EventsHandler()' },
];
const CALLS_BY_CLASS = ['__commandHandler__', '__queryHandler__'];

/** Methods that become handlers by a decorator of their class. */
export const HANDLED_BY_CLASS: readonly (string | symbol)[] = ['execute', 'handle', 'process'];

/**
 * Looks a method up by class and name, when all decorators have been applied: what makes it a handler may be on a
 * function that another decorator put around it, or on the class.
 */
export function entryPointAt(prototype: object | null, key: string | symbol): EntryPoint {
  const method = classMethod(prototype, key);
  const owner = prototype?.constructor;
  return {
    transports: [
      ...(method === undefined ? [] : transportsOf(method)),
      ...(key === 'execute' && CALLS_BY_CLASS.some((name) => has(name, owner))
        ? (['call'] as const)
        : []),
    ],
    consumes: consumerDecorator(method, owner, key),
  };
}

export function isEntryPoint({ transports, consumes }: EntryPoint): boolean {
  return transports.length > 0 || consumes !== undefined;
}

/** What of @nestjs/schedule calls a method. */
export type TimerKind = 'cron' | 'interval' | 'timeout';

/** `SchedulerType` of @nestjs/schedule, by value. */
const TIMER_KINDS: Readonly<Record<number, TimerKind>> = { 1: 'cron', 2: 'timeout', 3: 'interval' };

/** Gives a function what `@Cron(…, { name })` leaves on a method. */
export function markAsCron(method: object, name: string): void {
  Reflect.defineMetadata('SCHEDULER_TYPE', 1, method);
  Reflect.defineMetadata('SCHEDULER_NAME', name, method);
  Reflect.defineMetadata('SCHEDULE_CRON_OPTIONS', { name }, method);
}

/** Undefined for a method that has none of `@Cron`, `@Interval` and `@Timeout`. */
export function timerKindOf(method: unknown): TimerKind | undefined {
  if (typeof method !== 'function') return undefined;
  return TIMER_KINDS[Reflect.getMetadata('SCHEDULER_TYPE', method) as number];
}

function transportsOf(method: object): Transport[] {
  const transports: Transport[] = [];
  if (has('path', method) && has('method', method)) {
    transports.push(has('__sse__', method) ? 'sse' : 'http');
  }
  const rpc: unknown = Reflect.getOwnMetadata(RPC_HANDLER_TYPE, method);
  if (rpc !== undefined && rpc !== RPC_EVENT) transports.push('rpc');
  if (has('websockets:message_mapping', method)) transports.push('ws');
  const resolver = ['resolver_type', 'resolve_property', 'resolve_reference'];
  if (resolver.some((name) => has(`graphql:${name}`, method))) transports.push('graphql');
  return transports;
}

function consumerDecorator(
  method: object | undefined,
  owner: unknown,
  key: string | symbol,
): string | undefined {
  const byClass = CONSUMERS_BY_CLASS.find((each) => each.method === key && has(each.key, owner));
  if (byClass !== undefined) return byClass.decorator;
  if (method === undefined) return undefined;
  if (Reflect.getOwnMetadata(RPC_HANDLER_TYPE, method) === RPC_EVENT) return '@EventPattern()';
  return CONSUMERS_BY_METHOD.find((each) => has(each.key, method))?.decorator;
}

function has(key: string, target: unknown): boolean {
  return typeof target === 'function' && Reflect.hasMetadata(key, target);
}
