/** How bad something is. `ok`: as it should be. */
export type Severity = 'ok' | 'warning' | 'error';

/** One thing that was found, and what to do about it. */
export interface Finding {
  /** E.g. `server.refused`; the same in every version. */
  readonly code: string;
  readonly severity: Severity;
  /** What was found, in one sentence. */
  readonly what: string;
  /** What to do; absent where nothing has to be done. */
  readonly fix?: string;
}

export function ok(code: string, what: string): Finding {
  return { code, severity: 'ok', what };
}

export function warning(code: string, what: string, fix: string): Finding {
  return { code, severity: 'warning', what, fix };
}

export function fault(code: string, what: string, fix: string): Finding {
  return { code, severity: 'error', what, fix };
}
