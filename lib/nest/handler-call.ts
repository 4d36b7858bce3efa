import { AsyncLocalStorage } from 'node:async_hooks';
import type { CallHandler } from '@nestjs/common';
import { Observable } from 'rxjs';
import { adoptWork } from '../elector/work-in-flight.js';
import type { ClassMethod } from './method-marks.js';

/** The call that Nest is about to make, after its interceptors and pipes. */
const CALLS = new AsyncLocalStorage<HandlerCall | undefined>();

/** What Nest calls instead of methods. */
const WATCHED = new WeakSet<object>();

/**
 * One call of a handler. Interceptors get an Observable whatever the handler returns, and cannot know whether one that has
 * emitted nothing is a promise, which runs on without a consumer, or a stream, which does not.
 */
export class HandlerCall {
  private hasSettled = false;
  private listeners: ((value: unknown) => void)[] = [];

  /** Whether what the handler returned is known: the value of a promise, or a stream. */
  get isSettled(): boolean {
    return this.hasSettled;
  }

  /** Calls back with the value of a promise, or with anything else that the handler returned, before Nest has it. */
  onSettled(listener: (value: unknown) => void): void {
    this.listeners.push(listener);
  }

  /** The answer of the handler, which is watched if it is a {@link watchHandler watched} one. */
  answer(next: CallHandler): Observable<unknown> {
    return new Observable((subscriber) =>
      CALLS.run(this, () => next.handle().subscribe(subscriber)),
    );
  }

  /** By the handler that is watched. */
  settle(value: unknown): void {
    this.hasSettled = true;
    for (const listener of this.listeners.splice(0)) listener(value);
  }
}

/**
 * Lets calls of a method be watched, in the place that Nest takes it from. Called by anyone else, it is the method itself. Each
 * method once.
 */
export function watchHandler({ level, key, method, descriptor }: ClassMethod): void {
  if (WATCHED.has(method) || descriptor.configurable !== true) return;
  const watched = new Proxy(method, {
    apply(target, self, args) {
      const call = CALLS.getStore();
      if (call === undefined) return Reflect.apply(target, self, args) as unknown;
      // What the handler calls is another call.
      const result = CALLS.run(undefined, () => Reflect.apply(target, self, args) as unknown);
      return adoptWork(
        result,
        () => {},
        (value) => {
          call.settle(value);
          return value;
        },
      );
    },
  });
  WATCHED.add(watched);
  // It belongs to one function, and a proxy is another.
  for (const name of Reflect.getOwnMetadataKeys(method) as unknown[]) {
    Reflect.defineMetadata(name, Reflect.getOwnMetadata(name, method), watched);
  }
  Object.defineProperty(level, key, { ...descriptor, value: watched });
}
