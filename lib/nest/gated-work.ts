/** How a gate tells the election of work that has begun. A service without it, as in a unit test, is not told. */
export const TRACK_WORK = Symbol.for('nestjs-leader-election:track-work');

export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
