import type { Belief } from './belief.js';
import type { StartedTick } from './started-tick.js';

type Draft = { -readonly [Field in keyof Belief]: Belief[Field] };

/**
 * Reads what one `HistoryRecorder` wrote and checks I3 on the way: granted and revoked alternate, and every point lies
 * between the two of its term, and so does every tick that was started.
 */
export class ProcessHistory {
  readonly beliefs: Belief[] = [];
  readonly ticks: StartedTick[] = [];
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
    const [kind, ns, term, detail, tick] = line.split(' ');
    const at = Number(ns) / 1e6;
    if (at < this.latest) this.violate(`goes back in time: ${line}`);
    this.latest = at;
    if (kind === 'G') this.granted(Number(term), BigInt(detail!));
    else if (kind === 'R') this.revoked(at, Number(term), detail!);
    else if (kind === 'P') this.believed(at, Number(term));
    else if (kind === 'T') this.started(at, Number(term), BigInt(detail!), Number(tick));
    else this.violate(`has an unreadable line: ${line}`);
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
