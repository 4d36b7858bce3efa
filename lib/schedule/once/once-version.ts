/**
 * A version of work that runs once: a whole number, or numbers with dots between them. Only what has an order tells a
 * rollback from a rollout, so a hash or a name is no version.
 */
const WRITTEN = /^\d+(\.\d+)*$/;

/** Longer than any timestamp with a few parts, and short enough for a record. */
const LONGEST = 64;

export const VERSION_RULE =
  `must be a whole number, or text of numbers with dots between them such as "1.10.2" or "2026.11.26", of at most ${LONGEST} ` +
  'characters, as only what has an order tells a rollback from a rollout';

/**
 * The version as it is stored, the same for all ways to write it: `007`, `7` and `7.0` are one. Undefined if it is none.
 */
export function readVersion(written: unknown): string | undefined {
  if (typeof written === 'number') {
    return Number.isSafeInteger(written) && written >= 0 ? String(written) : undefined;
  }
  if (typeof written !== 'string' || written.length > LONGEST || !WRITTEN.test(written)) {
    return undefined;
  }
  const parts = written.split('.').map((part) => part.replace(/^0+(?=\d)/, ''));
  while (parts.length > 1 && parts.at(-1) === '0') parts.pop();
  return parts.join('.');
}

/**
 * Negative if the first is older, positive if it is newer, 0 if they are the same. Part by part as numbers, so 1.10 is
 * newer than 1.9, and 1.4.1 than 1.4. Both as {@link readVersion} returns them.
 */
export function compareVersions(one: string, other: string): number {
  const [ones, others] = [one.split('.'), other.split('.')];
  for (let index = 0; index < Math.max(ones.length, others.length); index += 1) {
    const order = comparePart(ones[index] ?? '0', others[index] ?? '0');
    if (order !== 0) return order;
  }
  return 0;
}

/** Digits without leading zeros, which may be too many for a number. */
function comparePart(one: string, other: string): number {
  if (one.length !== other.length) return one.length - other.length;
  return one === other ? 0 : one < other ? -1 : 1;
}
