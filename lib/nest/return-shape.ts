import { EMPTY, Observable, throwError } from 'rxjs';

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What a call returns whose method does not run: as near as can be to what its caller expects of the method. */
export interface ReturnShape {
  /** Nothing, in the shape of the method. */
  skipped(): unknown;
  /** @throws the error, unless the shape has a place for it */
  failed(error: Error): unknown;
}

/**
 * The shape follows from the function (async, generator) or, where TypeScript emits it, from the declared return type:
 * of a Promise or an Observable no more than that. What is not known returns undefined.
 */
export function returnShape(method: Method, prototype: object, key: string | symbol): ReturnShape {
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
