/** How a process ended. Of the two that Node tells, one is null. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** The signals by which it was told to end. */
  readonly told: readonly string[];
}

/** What is wrong with the end of a process, if anything is: nobody told it to end, or it failed on the way. */
export function faultOfEnd({ code, signal, told }: ProcessEnd): string | undefined {
  const how = signal ?? `code ${code}`;
  if (told.length === 0) return `ended by itself: ${how}`;
  // By the signal itself: it was told before it listened, or Nest sent it again once its hooks had run.
  const isAsTold = signal === null ? code === 0 && told.includes('SIGTERM') : told.includes(signal);
  return isAsTold ? undefined : `failed in its shutdown: ${how}`;
}
