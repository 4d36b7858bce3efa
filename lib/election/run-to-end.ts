import { onAbort } from '../core/abort-signal.js';
import type { OptionFault } from '../core/errors.js';
import { adoptWork } from '../elector/work-in-flight.js';

/**
 * Async iterators that can be made to return, like those of async generators and subscriptions. A database cursor, which
 * has its own kind of `next` and other methods, is not one.
 */
export function isAsyncIterator(value: unknown): value is AsyncIterableIterator<unknown> {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return (
      Symbol.asyncIterator in value &&
      typeof value[Symbol.asyncIterator] === 'function' &&
      'next' in value &&
      typeof value.next === 'function' &&
      'return' in value &&
      typeof value.return === 'function'
    );
  } catch {
    return false;
  }
}

/** Why a value cannot be called for work that is to end; undefined if it can. */
export function workFault(value: unknown): Pick<OptionFault, 'rule' | 'fix'> | undefined {
  if (typeof value !== 'function') {
    return { rule: 'must be a function', fix: 'pass for example async () => { … }' };
  }
  if (Object.prototype.toString.call(value) !== '[object GeneratorFunction]') return undefined;
  return { rule: `must not be a generator function: ${NOTHING_ITERATES}`, fix: 'make it async' };
}

const NOTHING_ITERATES = 'nothing iterates what it returns, so its body would not run';

/** Runs what a framework knows besides promises and iterators; returns anything else as it is. */
export type RunOther = (value: unknown, signal: AbortSignal | undefined) => unknown;

/**
 * What one of our handlers returned, as a promise or value that ends with the work. It has no other consumer, so an
 * async generator is iterated, until it ends or the signal is aborted.
 *
 * @throws the signal's reason, asynchronously, if a stream had not ended when it was aborted
 */
export function runToEnd(
  result: unknown,
  signal?: AbortSignal,
  runOther: RunOther = (value) => value,
): unknown {
  return adoptWork(
    result,
    () => {},
    (value) => {
      if (isAsyncIterator(value)) return iterated(value, signal);
      if (Object.prototype.toString.call(value) === '[object Generator]') throw generatorError();
      return runOther(value, signal);
    },
  );
}

async function iterated(
  source: AsyncIterableIterator<unknown>,
  signal: AbortSignal | undefined,
): Promise<void> {
  // A generator that awaits something returns only after that.
  let returned: Promise<unknown> | undefined;
  const ignoreAbort = onAbort(signal, () => {
    returned = Promise.resolve(source.return?.());
    returned.catch(() => {});
  });
  try {
    while (returned === undefined && (await source.next()).done !== true);
    await returned;
  } finally {
    ignoreAbort();
  }
  if (signal?.aborted) throw signal.reason;
}

function generatorError(): Error {
  return new TypeError(
    'it is a generator function, and nothing iterates what it returned, so its body has not run: make it async',
  );
}
