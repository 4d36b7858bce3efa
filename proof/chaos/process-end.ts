/** How a process ended. Of the two that Node tells, one is null. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** The chaos had told it to end. */
  readonly wasTold: boolean;
}

/** What is wrong with the end of a process, if anything is: nobody told it to end, or it failed on the way. */
export function faultOfEnd({ code, signal, wasTold }: ProcessEnd): string | undefined {
  const how = signal ?? `code ${code}`;
  if (!wasTold) return `ended by itself: ${how}`;
  // SIGTERM: it was told before it listened.
  const isClean = code === 0 || signal === 'SIGTERM' || signal === 'SIGKILL';
  return isClean ? undefined : `failed in its shutdown: ${how}`;
}
