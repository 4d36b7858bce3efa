import { titleOf } from '../../core/thrown-value.js';

const LONGEST_REASON = 200;

/** One line of limited length: the object is small, and people read it. Does not throw, whatever was thrown. */
export function shortReason(error: unknown): string {
  const line = titleOf(error).replace(/\s+/g, ' ').trim();
  return line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON - 1)}…` : line;
}
