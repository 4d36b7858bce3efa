import type { spawn as Spawn } from 'node:child_process';
import type {
  readdirSync as ReadDirectory,
  readFileSync as ReadFile,
  write as Write,
} from 'node:fs';

/** How long the lease is held without a further renewal, as of a moment on the clocks of the machine. All in milliseconds. */
export interface Hold {
  readonly leftMs: number;
  /** The monotonic clock, which all processes of a machine share. */
  readonly monotonicMs: number;
  /** Time since the machine was started, its sleep included. */
  readonly bootMs: number;
}

export interface GuardSettings {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The program is asked to end when the lease is held for no longer than this … */
  readonly stopBeforeMs: number;
  /** … and killed when it is held for no longer than this. */
  readonly killBeforeMs: number;
  /** How long it may take to end after it was asked, if the lease is held for so long. */
  readonly drainTimeoutMs: number;
}

export type GuardOrder =
  | { readonly kind: 'start'; readonly settings: GuardSettings; readonly hold: Hold }
  | { readonly kind: 'hold'; readonly hold: Hold }
  | { readonly kind: 'terminate' }
  | { readonly kind: 'kill' };

export type GuardReport =
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'not-started'; readonly code: string; readonly message: string }
  | { readonly kind: 'ended'; readonly code: number | null; readonly signal: string | null }
  /** Nothing was started, as the lease is no longer held for long enough. */
  | { readonly kind: 'not-held' };

/**
 * Processes of a group that still run, without one of them. As text in the guard, too: it knows nothing but its own.
 * Undefined: this platform does not tell.
 */
export function othersInGroup(
  group: number,
  except: number,
  files: { readonly readdirSync: typeof ReadDirectory; readonly readFileSync: typeof ReadFile },
): number[] | undefined {
  let entries: string[];
  try {
    entries = files.readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  } catch {
    // No Linux.
    return undefined;
  }
  return entries.map(Number).filter((pid) => {
    if (pid === except) return false;
    try {
      const stat = files.readFileSync(`/proc/${pid}/stat`, 'latin1');
      // After the name, which may be any text in parentheses: state, parent, group.
      const [state, , of] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(of) === group && state !== 'Z' && state !== 'X';
    } catch {
      // It has ended in the meantime.
      return false;
    }
  });
}

/**
 * Runs in a process of its own, between the one that competes for the lease and the program, and leads the process group in
 * which the program and its children are. It ends them by its own clock: when the process that competes is killed, stopped
 * or too late, nothing else would.
 */
export function guard(
  load: NodeJS.Require,
  others: (
    group: number,
    except: number,
    files: { readdirSync: typeof ReadDirectory; readFileSync: typeof ReadFile },
  ) => number[] | undefined,
): void {
  const { spawn } = load('node:child_process') as { spawn: typeof Spawn };
  const files = load('node:fs') as {
    readdirSync: typeof ReadDirectory;
    readFileSync: typeof ReadFile;
    write: typeof Write;
  };
  const { uptime } = load('node:os') as { uptime: () => number };
  const LOOK_MS = 100;
  /** The last line is written in this time, if anyone reads it. */
  const WRITING_MS = 5;
  /** Boot time is read in steps, at another moment than the monotonic clock. */
  const NOISE_MS = 50;
  let settings: GuardSettings | undefined;
  let hold: Hold | undefined;
  let askedAt: number | undefined;
  let program: number | undefined;
  let hasEnded = false;
  let timer: NodeJS.Timeout | undefined;
  const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

  function leftMs(): number {
    const elapsed = nowMs() - hold!.monotonicMs;
    const slept = uptime() * 1e3 - hold!.bootMs - elapsed;
    return hold!.leftMs - elapsed - (slept > NOISE_MS ? slept : 0);
  }

  function signal(target: number, name: NodeJS.Signals): void {
    try {
      process.kill(target, name);
    } catch {
      // It has ended.
    }
  }

  function terminate(): void {
    if (askedAt !== undefined) return;
    askedAt = nowMs();
    if (hasEnded) signal(-process.pid, 'SIGTERM');
    else if (program !== undefined) signal(program, 'SIGTERM');
  }

  function killAll(why: string): void {
    clearTimeout(timer);
    // From the thread pool: whoever should read it may not, and the kill must not wait for that.
    files.write(
      2,
      `nestjs-leader-election run: ${why}: killed it and its process group\n`,
      () => {},
    );
    // This process is one of the group.
    setTimeout(() => signal(-process.pid, 'SIGKILL'), WRITING_MS);
  }

  function look(): void {
    clearTimeout(timer);
    if (settings === undefined) return;
    if (hasEnded && (others(process.pid, process.pid, files) ?? []).length === 0) return finish();
    const left = leftMs();
    if (left <= settings.killBeforeMs) {
      return killAll('the program had not ended before the lease could be that of another process');
    }
    if (left <= settings.stopBeforeMs) terminate();
    const drainLeft =
      askedAt === undefined ? Infinity : askedAt + settings.drainTimeoutMs - nowMs();
    if (drainLeft <= 0) {
      const limit = `${settings.drainTimeoutMs} ms`;
      return killAll(`the program, or what it has started, did not end within ${limit}`);
    }
    const nextMs = Math.min(
      LOOK_MS,
      drainLeft,
      left - settings.killBeforeMs,
      left > settings.stopBeforeMs ? left - settings.stopBeforeMs : LOOK_MS,
    );
    timer = setTimeout(look, Math.max(1, Math.ceil(nextMs)));
  }

  /** Nothing is left that keeps this process. */
  function finish(): void {
    settings = undefined;
    clearTimeout(timer);
    if (process.connected) process.disconnect();
  }

  function report(message: GuardReport, then: () => void = () => {}): void {
    if (!process.connected) return then();
    process.send!(message, () => then());
  }

  function start(): void {
    const { command, args, env } = settings!;
    const child = spawn(command, [...args], { env: env as NodeJS.ProcessEnv, stdio: 'inherit' });
    child.once('spawn', () => {
      program = child.pid;
      report({ kind: 'started', pid: child.pid! });
      // It was asked to end before it had begun.
      if (askedAt !== undefined) signal(child.pid!, 'SIGTERM');
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (program !== undefined) return;
      report({ kind: 'not-started', code: error.code ?? '', message: error.message }, finish);
    });
    child.once('exit', (code, by) => {
      hasEnded = true;
      report({ kind: 'ended', code, signal: by }, () => {
        // What it has started ends with it.
        askedAt ??= nowMs();
        signal(-process.pid, 'SIGTERM');
        look();
      });
    });
  }

  process.title = 'nestjs-leader-election run: guard';
  // They are sent to the whole group, or by a person who means the program.
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)
    process.on(name, () => {});
  process.on('message', (order: GuardOrder) => {
    if (order.kind === 'start') {
      settings = order.settings;
      hold = order.hold;
      // The machine may have slept since, or this process have waited for it: another process may lead by now.
      if (leftMs() <= settings.stopBeforeMs) return report({ kind: 'not-held' }, finish);
      start();
    } else if (order.kind === 'hold') hold = order.hold;
    else if (order.kind === 'terminate') terminate();
    else killAll('it was told not to wait for the program');
    look();
  });
  process.once('disconnect', () => {
    if (settings === undefined) return;
    terminate();
    look();
  });
}
