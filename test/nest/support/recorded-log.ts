import type { LoggerService } from '@nestjs/common';
import type { LogEntry } from '../../../lib/election/log-entry.js';

type Level = 'log' | 'warn' | 'error' | 'debug';

/** Keeps what this library logs, as `useLogger()` takes it. Lines are without the subject in brackets. */
export class RecordedLog implements LoggerService {
  readonly lines: [level: Level, text: string][] = [];
  readonly entries: LogEntry[] = [];

  log = this.writer('log');
  warn = this.writer('warn');
  error = this.writer('error');
  debug = this.writer('debug');

  texts(...levels: Level[]): string[] {
    return this.lines.filter(([level]) => levels.includes(level)).map(([, text]) => text);
  }

  private writer(level: Level) {
    return (text: unknown, ...rest: unknown[]): void => {
      if (rest.at(-1) !== 'LeaderElection') return;
      this.lines.push([level, withoutSubject(String(text))]);
      this.entries.push(text as LogEntry);
    };
  }
}

/** At the end of its first line. */
export function withoutSubject(text: string): string {
  return text.replace(/ \[[^\]]*\](?=\n|$)/, '');
}
