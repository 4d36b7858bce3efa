import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { defer, Observable, type Subscription } from 'rxjs';
import { onAbort } from '../core/abort-signal.js';
import { runInTerm } from '../election/current-term.js';
import { GATED_WORK, openTermOf, settleWork } from '../election/gated-work.js';
import { isAsyncIterator } from '../election/run-to-end.js';
import { type GateLeadership, shadowOf } from './gated-work.js';
import { HandlerCall } from './handler-call.js';
import { isStreamOfRxjs } from './run-to-end.js';

/** A handler that a guard has let through. */
export interface Admission {
  readonly leadership: GateLeadership;
  /** Class and method. */
  readonly name: string;
  /** What a request gets that can no longer be answered. */
  readonly refusal: () => Error;
}

/** By what guards and interceptors of one call share. */
const ADMITTED = new WeakMap<object, Admission[]>();

/** For the interceptor of the same call, which Nest runs after its guards. */
export function admit(context: ExecutionContext, admission: Admission): void {
  const key = callOf(context);
  ADMITTED.set(key, [...(ADMITTED.get(key) ?? []), admission]);
}

/** Routes get an array of their own for guards and for interceptors, and every other call has one for both. */
function callOf(context: ExecutionContext): object {
  return context.getType() === 'http' ? context.getArgByIndex<object>(0) : context.getArgs();
}

/**
 * What a guard cannot do, as it has ended before the handler begins: the handler runs only if this process leads still, in the
 * term, and the lease is not released before it has ended.
 */
export class GuardedTerm implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const key = callOf(context);
    const admissions = ADMITTED.get(key) ?? [];
    ADMITTED.delete(key);
    const declared = declaredStream(context);
    const isStream = declared !== undefined;
    const endsQuietly = declared === 'sse' || context.getType() === 'ws';
    // Interceptors around this one may subscribe again, which is another call.
    return defer(() => {
      const call = new HandlerCall();
      return admissions.reduceRight<() => Observable<unknown>>(
        (handle, admission) => () => guarded(admission, handle, { call, isStream, endsQuietly }),
        () => call.answer(next),
      )();
    });
  }
}

/** A stream has no end of its own that could be waited for. Undefined: what the handler returns is known when it has. */
function declaredStream(context: ExecutionContext): 'sse' | 'observable' | undefined {
  const handler = context.getHandler();
  if (Reflect.hasMetadata('__sse__', handler)) return 'sse';
  const { prototype } = context.getClass() as { readonly prototype: object };
  const declared: unknown = Reflect.getMetadata('design:returntype', prototype, handler.name);
  const isObservable = typeof declared === 'function' && declared.name === 'Observable';
  return isObservable ? 'observable' : undefined;
}

interface GuardedCall {
  readonly call: HandlerCall;
  /** Declared as one. */
  readonly isStream: boolean;
  readonly endsQuietly: boolean;
}

/**
 * The answer of a handler. A promise is waited for beyond the end of the term and without a consumer, and its answer given.
 * A stream ends with the term, or with its consumer.
 */
function guarded(
  { leadership, name, refusal }: Admission,
  handle: () => Observable<unknown>,
  { call, isStream: isDeclared, endsQuietly }: GuardedCall,
): Observable<unknown> {
  if (shadowOf(leadership) !== undefined) return runInTerm(openTermOf(leadership), handle);
  return new Observable((subscriber) => {
    // Before the check: the term may run out between the two, and then none would end the stream.
    const { term } = leadership;
    if (!leadership.isLeader()) return subscriber.error(refusal());
    const inFlight = leadership[GATED_WORK];
    inFlight?.begin(name);
    let isStream = isDeclared;
    let hasEmitted = false;
    let isRevoked = false;
    let isLeft = false;
    let running: Subscription | undefined;
    let ignoreAbort = (): void => {};
    let isCounted = true;
    const end = (): void => {
      ignoreAbort();
      if (isCounted) inFlight?.end(name);
      isCounted = false;
    };
    const cut = (): void => {
      if (endsQuietly) subscriber.complete();
      else subscriber.error(refusal());
    };
    const stop = (): void => {
      running?.unsubscribe();
      end();
    };
    ignoreAbort = onAbort(term?.signal, () => {
      isRevoked = true;
      if (isStream || hasEmitted) cut();
    });
    call.onSettled((value) => {
      isStream ||= isStreamOfRxjs(value);
      // Nest does not subscribe to it then.
      if (isLeft) stop();
      else if (isRevoked && isStream) cut();
    });
    running = runInTerm(openTermOf(leadership), () =>
      handle().subscribe({
        next: (value) => {
          hasEmitted = true;
          if (isLeft) return stop();
          if (isAsyncIterator(value)) {
            inFlight?.begin(name);
            const onEnd = () => (endsQuietly ? undefined : refusal());
            subscriber.next(settleWork(leadership, name, value, { term, onEnd }));
          } else subscriber.next(value);
          // That of a promise completes in this very turn.
          if (isRevoked) queueMicrotask(cut);
        },
        error: (error: unknown) => {
          end();
          subscriber.error(error);
        },
        complete: () => {
          end();
          subscriber.complete();
        },
      }),
    );
    return () => {
      isLeft = true;
      // Until then it is a promise that runs on, or waits for pipes.
      if (call.isSettled || hasEmitted) stop();
    };
  });
}
