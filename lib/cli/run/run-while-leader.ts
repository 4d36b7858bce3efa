import { constants } from 'node:os';
import { onAbort } from '../../core/abort-signal.js';
import type { Term } from '../../core/term.js';
import type { LeaderElection } from '../../election/leader-election.js';
import { GuardedProgram, machineTime, type ProgramEnd } from './guarded-program.js';
import type { GuardSettings } from './program-guard.js';

/** When the program is started again after it has ended by itself while this process leads. */
export type RestartPolicy = 'never' | 'on-failure' | 'always';

export interface RunOrder {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly leaseName: string;
  readonly restart: RestartPolicy;
  /** End with the first term, however it ends, instead of competing again. */
  readonly once: boolean;
  readonly renewDeadlineMs: number;
  readonly drainTimeoutMs: number;
}

/** What happens, for people and for programs. */
export type RunEvent =
  | { readonly event: 'started'; readonly term: number; readonly pid: number }
  | {
      readonly event: 'ending';
      readonly term: number;
      readonly why: string;
      readonly drainTimeoutMs: number;
    }
  | { readonly event: 'ended'; readonly term: number; readonly how: string }
  | { readonly event: 'restarting'; readonly term: number; readonly delayMs: number };

/** How `run` ends: what `timeout`, `env` and container engines use, and what is temporary by sysexits.h. */
const EXIT_CANNOT_RUN = 126;
const EXIT_NOT_FOUND = 127;
const EXIT_LEADERSHIP_LOST = 75;
const EXIT_GUARD_LOST = 125;
const SIGNALLED = 128;

/** So long before the end of validity the program is asked to end, as a part of the renew deadline: two seconds of ten … */
const STOP_BEFORE = 0.2;
/** … and so long before it is killed. */
const KILL_BEFORE = 0.02;
const LEAST_KILL_BEFORE_MS = 50;
const LOOK_MS = 100;
const FIRST_RESTART_MS = 1_000;
const LONGEST_RESTART_MS = 30_000;
/** A program that has run for so long is started again as after its first failure. */
const HEALTHY_MS = 60_000;

/** Runs a program in each term of an election, and no longer than the term. */
export class RunWhileLeader {
  private program: GuardedProgram | undefined;
  private stoppedBy: NodeJS.Signals | undefined;
  private lastEnd: ProgramEnd | undefined;
  private exitCode: number | undefined;
  private done: () => void = () => {};

  constructor(
    private readonly election: LeaderElection,
    private readonly order: RunOrder,
    private readonly tell: (event: RunEvent) => void,
  ) {}

  /** Resolves with the exit code once the program has ended for good and the lease is released. */
  async run(): Promise<number> {
    const finished = new Promise<void>((resolve) => (this.done = resolve));
    this.election.on('granted', (term) => this.lead(term));
    this.election.start();
    await finished;
    await this.election.stop();
    return this.exitCode ?? this.codeOfStop();
  }

  /** Asks the program to end, and ends. The second time, the program is killed. */
  stop(by: NodeJS.Signals): void {
    if (this.stoppedBy === undefined) {
      this.stoppedBy = by;
      this.done();
    } else this.program?.kill();
  }

  private codeOfStop(): number {
    if (this.lastEnd !== undefined) return exitCodeOf(this.lastEnd);
    return SIGNALLED + constants.signals[this.stoppedBy ?? 'SIGTERM'];
  }

  private finish(exitCode: number | undefined): void {
    this.exitCode ??= exitCode;
    this.done();
  }

  /** The election waits for this when the term ends, and releases the lease after it. */
  private async lead(term: Term): Promise<void> {
    let delayMs = 0;
    while (!term.signal.aborted) {
      const startedAt = performance.now();
      const end = await this.runOnce(term);
      this.lastEnd = end;
      if (end.kind === 'not-held') {
        await pauseWhile(term.signal, FIRST_RESTART_MS);
        continue;
      }
      this.tell({ event: 'ended', term: term.number, how: described(end) });
      if (end.kind === 'not-started') return this.finish(exitCodeOf(end));
      if (term.signal.aborted) break;
      if (!this.isRestarted(end)) return this.finish(exitCodeOf(end));
      const isHealthy = performance.now() - startedAt >= HEALTHY_MS;
      delayMs =
        isHealthy || delayMs === 0 ? FIRST_RESTART_MS : Math.min(2 * delayMs, LONGEST_RESTART_MS);
      this.tell({ event: 'restarting', term: term.number, delayMs });
      await pauseWhile(term.signal, delayMs);
    }
    if (this.stoppedBy !== undefined) return;
    this.lastEnd = undefined;
    if (this.order.once) this.finish(EXIT_LEADERSHIP_LOST);
  }

  private isRestarted(end: ProgramEnd): boolean {
    const { restart } = this.order;
    if (restart === 'never') return false;
    return restart === 'always' || exitCodeOf(end) !== 0;
  }

  private async runOnce(term: Term): Promise<ProgramEnd> {
    const { election } = this;
    const settings = this.settingsFor(term);
    const first = machineTime();
    const program = new GuardedProgram(
      settings,
      { ...first, leftMs: election.heldForMs() },
      (pid) => this.tell({ event: 'started', term: term.number, pid }),
    );
    this.program = program;
    const end = (why: string): void => {
      const { drainTimeoutMs } = this.order;
      program.terminate();
      this.tell({ event: 'ending', term: term.number, why, drainTimeoutMs });
    };
    const ignoreEnd = onAbort(term.signal, () => end(whyOf(term)));
    const timer = setInterval(() => {
      const at = machineTime();
      const leftMs = election.heldForMs();
      program.hold({ ...at, leftMs });
      // The program needs what is left to end.
      if (leftMs <= settings.stopBeforeMs && election.term === term) election.stepDown();
    }, LOOK_MS);
    try {
      return await program.ended;
    } finally {
      clearInterval(timer);
      ignoreEnd();
      this.program = undefined;
    }
  }

  private settingsFor(term: Term): GuardSettings {
    const { command, args, env, leaseName, renewDeadlineMs, drainTimeoutMs } = this.order;
    return {
      command,
      args,
      env: {
        ...env,
        LEADER_ELECTION_ROLE: term.role,
        LEADER_ELECTION_LEASE: leaseName,
        LEADER_ELECTION_IDENTITY: term.holderIdentity,
        LEADER_ELECTION_TERM: String(term.number),
        LEADER_ELECTION_FENCING_TOKEN: String(term.fencingToken),
      },
      stopBeforeMs: STOP_BEFORE * renewDeadlineMs,
      killBeforeMs: Math.max(LEAST_KILL_BEFORE_MS, KILL_BEFORE * renewDeadlineMs),
      drainTimeoutMs,
    };
  }
}

function whyOf({ signal }: Term): string {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason.message : 'leadership has ended';
}

/** The program's own; as a shell says it where it has none. */
function exitCodeOf(end: ProgramEnd): number {
  switch (end.kind) {
    case 'exited':
      return end.code;
    case 'signalled':
      return SIGNALLED + (constants.signals[end.signal as NodeJS.Signals] ?? 0);
    case 'not-started':
      return end.code === 'ENOENT' ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
    case 'not-held':
      return EXIT_LEADERSHIP_LOST;
    case 'lost':
      return EXIT_GUARD_LOST;
    default:
      return end satisfies never;
  }
}

function described(end: ProgramEnd): string {
  switch (end.kind) {
    case 'exited':
      return `exited with ${end.code}`;
    case 'signalled':
      return `ended by ${end.signal}`;
    case 'not-started':
      return `could not be started: ${end.message}`;
    case 'not-held':
      return 'was not started, as the lease is no longer held for long enough';
    case 'lost':
      return 'ended, as its guard did; how is not known';
    default:
      return end satisfies never;
  }
}

function pauseWhile(signal: AbortSignal, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    let ignoreAbort = (): void => {};
    const timer = setTimeout(go, delayMs);
    ignoreAbort = onAbort(signal, go);
    function go(): void {
      clearTimeout(timer);
      ignoreAbort();
      resolve();
    }
  });
}
