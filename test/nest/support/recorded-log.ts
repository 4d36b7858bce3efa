import type { LoggerService } from '@nestjs/common';

type Level = 'log' | 'warn' | 'error' | 'debug';

/** Keeps what this library logs, as `useLogger()` takes it. */
export class RecordedLog implements LoggerService {
  readonly lines: [level: Level, text: string][] = [];

  log = this.writer('log');
  warn = this.writer('warn');
  error = this.writer('error');
  debug = this.writer('debug');

  texts(...levels: Level[]): string[] {
    return this.lines.filter(([level]) => levels.includes(level)).map(([, text]) => text);
  }

  private writer(level: Level) {
    return (text: unknown, ...rest: unknown[]): void => {
      if (rest.at(-1) === 'LeaderElection') this.lines.push([level, String(text)]);
    };
  }
}
