import type { Belief } from './belief.js';
import type { StartedTick } from './started-tick.js';

type HistoryLine = { readonly at: number } & (
  | { readonly type: 'granted'; readonly term: number; readonly token: string }
  | { readonly type: 'revoked'; readonly term: number; readonly reason: string }
  | { readonly type: 'believed'; readonly term: number }
  | { readonly type: 'tick'; readonly term: number; readonly token: string; readonly tick: number }
  | { readonly type: 'log'; readonly level: string; readonly text: string }
  | { readonly type: 'write' | 'written' | 'read' | 'was' | 'heard' }
);

/** What a process logged at level warn or error. Times in milliseconds of the monotonic clock. */
export interface LoggedLine {
  readonly process: string;
  readonly at: number;
  readonly level: string;
  readonly text: string;
}

type Draft = { -readonly [Field in keyof Belief]: Belief[Field] };

/**
 * Reads what one `HistoryRecorder` wrote and checks I3 on the way: granted and revoked alternate, and every point lies
 * between the two of its term, and so does every tick that was started.
 */
export class ProcessHistory {
  readonly beliefs: Belief[] = [];
  readonly ticks: StartedTick[] = [];
  readonly logged: LoggedLine[] = [];
  readonly violations: string[] = [];
  private current: Draft | undefined;
  private latest = -Infinity;

  private constructor(readonly process: string) {}

  static read(process: string, text: string): ProcessHistory {
    const history = new ProcessHistory(process);
    const lines = text.split('\n');
    // What follows the last line end is nothing, or the torn line of a process that was killed.
    lines.pop();
    for (const line of lines) history.line(line);
    return history;
  }

  private line(line: string): void {
    const told = JSON.parse(line) as HistoryLine; // A line that is no JSON ends the run: the recorder wrote nonsense.
    const at = told.at / 1e6;
    if (at < this.latest) this.violate(`goes back in time: ${line}`);
    this.latest = at;
    switch (told.type) {
      case 'granted':
        return this.granted(told.term, BigInt(told.token));
      case 'revoked':
        return this.revoked(at, told.term, told.reason);
      case 'believed':
        return this.believed(at, told.term);
      case 'tick':
        return this.started(at, told.term, BigInt(told.token), told.tick);
      case 'log':
        this.logged.push({ process: this.process, at, level: told.level, text: told.text });
        return;
      case 'write':
      case 'written':
      case 'read':
      case 'was':
      case 'heard':
        return; // What the register accepted is known from the register, and the second judge reads these.
      default:
        this.violate(`has an unknown line: ${line}`);
    }
  }

  private granted(term: number, token: bigint): void {
    if (this.current !== undefined) {
      this.violate(`was granted term ${term} before term ${this.current.term} was revoked`);
    }
    this.current = {
      process: this.process,
      term,
      token,
      from: undefined,
      to: undefined,
      points: 0,
      revokedAt: undefined,
      reason: undefined,
    };
    this.beliefs.push(this.current);
  }

  private revoked(at: number, term: number, reason: string): void {
    const { current } = this;
    this.current = undefined;
    if (current?.term !== term) {
      this.violate(`revoked term ${term}, which it did not have`);
      return;
    }
    current.revokedAt = at;
    current.reason = reason;
  }

  private believed(at: number, term: number): void {
    const { current } = this;
    if (current?.term !== term) {
      this.violate(`believed at ${at} to lead in term ${term}, which it did not have`);
      return;
    }
    current.from ??= at;
    current.to = at;
    current.points += 1;
  }

  private started(at: number, term: number, token: bigint, tick: number): void {
    const { process, current } = this;
    this.ticks.push({ process, at, term, token, tick });
    if (current?.term !== term || current.token !== token) {
      this.violate(`started a tick at ${at} in term ${term} token ${token}, which it did not have`);
    }
  }

  private violate(what: string): void {
    this.violations.push(`I3: ${this.process} ${what}`);
  }
}
