const LONGEST_REASON = 200;

/** One line of limited length: the object is small, and people read it. Does not throw, whatever was thrown. */
export function shortReason(error: unknown): string {
  const text = printed(error);
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON - 1)}…` : line;
}

function printed(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return 'something that cannot be printed';
  }
}
