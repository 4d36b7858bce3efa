import { openSync, writeSync } from 'node:fs';

export function monotonicNs(): bigint {
  return process.hrtime.bigint();
}

/**
 * Appends to the history of one process. A line is in the file when the call returns, so that it outlives the process
 * however that ends. `G <ns> <term> <token>`, `R <ns> <term> <reason>`, `P <ns> <term>`, `T <ns> <term> <token> <tick>`:
 * granted, revoked, a point in time at which the process believed to lead, and a tick that it started, by its nominal
 * time in milliseconds since the epoch. `ns` is of the clock that the processes of a machine share.
 */
export class HistoryRecorder {
  private readonly file: number;

  constructor(path: string) {
    this.file = openSync(path, 'a');
  }

  granted(term: number, token: bigint): void {
    this.append(`G ${monotonicNs()} ${term} ${token}`);
  }

  revoked(term: number, reason: string): void {
    this.append(`R ${monotonicNs()} ${term} ${reason}`);
  }

  /** `at` must have been read before the process was asked: it stays true though it is stopped in between. */
  believed(at: bigint, term: number): void {
    this.append(`P ${at} ${term}`);
  }

  started(term: number, token: bigint, tick: number): void {
    this.append(`T ${monotonicNs()} ${term} ${token} ${tick}`);
  }

  private append(line: string): void {
    writeSync(this.file, `${line}\n`);
  }
}
