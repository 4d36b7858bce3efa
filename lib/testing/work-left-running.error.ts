import { DrainTimeoutError } from '../core/errors.js';

/** The application under test was closed and did not wait any longer for work of its last term. */
export class WorkLeftRunningError extends DrainTimeoutError {
  constructor(role: string, term: number, closeTimeoutMs: number, running: readonly string[]) {
    super(role, term, closeTimeoutMs);
    this.message =
      `Role "${role}": work of term ${term} was still running ${closeTimeoutMs} ms (closeTimeoutMs of TestElection) after the ` +
      `application had begun to close, which did not wait any longer: ${running.join(', ')}. ` +
      `Let it end when term.signal is aborted, or end what it waits for before app.close().`;
  }
}
