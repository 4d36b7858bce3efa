import { AsyncResource } from 'node:async_hooks';
import { uptime } from 'node:os';
import { type Clock, LONGEST_TIMER_MS, type Timer } from '../core/clock.js';

const HOME = new AsyncResource('LeaderElectionModule', { requireManualDestroy: true });

/**
 * Makes what works as long as the application lives in the async context in which this library was loaded, which is no
 * request's. The one in which Nest makes the application would be kept for good: instrumentation of OpenTelemetry puts a
 * span around `NestFactory.create()`, and every run of a job and every renewal would be added to that trace.
 */
export function atHome<T>(make: () => T): T {
  return HOME.runInAsyncScope(make);
}

/** Where the machine's time is read. All in milliseconds. */
export interface TimeSources {
  monotonicMs(): number;
  wallMs(): number;
  /** Time since the machine was started, its sleep included; undefined where the platform does not tell. */
  bootMs(): number | undefined;
}

/** As they are when this is loaded: a test that fakes the date later does not end the term of the election under it. */
const MACHINE: TimeSources = {
  monotonicMs: performance.now.bind(performance),
  wallMs: Date.now.bind(Date),
  // Linux counts boot time through a suspension, and CLOCK_MONOTONIC not; elsewhere uptime follows the wall clock.
  bootMs: process.platform === 'linux' ? () => uptime() * 1_000 : () => undefined,
};

/** What waits longer may as well wait another millisecond. */
const SHORT_MS = 50;

/**
 * The machine's clocks. Timers keep the process alive: an application whose only work is behind an election has
 * nothing else that does. They run in the async context in which the clock was made, whoever sets them: a timer that
 * is set again and again would otherwise carry the AsyncLocalStorage of one HTTP request for good.
 */
export class SystemClock implements Clock {
  private readonly sources: TimeSources;
  private readonly home = new AsyncResource('SystemClock', { requireManualDestroy: true });

  constructor(sources: TimeSources = MACHINE) {
    this.sources = sources;
  }

  now(): number {
    return this.sources.monotonicMs();
  }

  wallMicros(): number {
    return this.sources.wallMs() * 1_000;
  }

  suspendedMs(): number {
    const { sources } = this;
    const bootMs = sources.bootMs();
    return bootMs === undefined ? 0 : bootMs - sources.monotonicMs();
  }

  /**
   * What has arrived by then is read first. An event loop that was busy calls timers before it reads, and a candidate would
   * write in vain for a lease that has been taken or renewed meanwhile.
   */
  setTimer(callback: () => void, delayMs: number): Timer {
    if (delayMs <= SHORT_MS) {
      return this.home.runInAsyncScope(() => this.exactTimer(callback, delayMs));
    }
    const timeoutMs = Math.min(Math.ceil(delayMs), LONGEST_TIMER_MS);
    return this.home.runInAsyncScope(() => {
      let turn: NodeJS.Immediate | undefined;
      const timeout = setTimeout(() => (turn = setImmediate(callback)), timeoutMs);
      return {
        cancel: () => {
          clearTimeout(timeout);
          clearImmediate(turn);
        },
      };
    });
  }

  /**
   * Timers of Node.js count whole milliseconds, from the beginning of the present turn of the event loop, and come up to two
   * late: a fifth of what candidates wait for each other (R22). The last millisecond passes in turns of the event loop, in
   * which everything else runs. Not for longer if the clock has gone back: whoever set the timer then looks at it again.
   */
  private exactTimer(callback: () => void, delayMs: number): Timer {
    const { sources } = this;
    const begunAt = sources.monotonicMs();
    const dueAt = begunAt + delayMs;
    let cancel: () => void;
    const inTurns = (): void => {
      const turn = setImmediate(() => {
        const now = sources.monotonicMs();
        if (now >= dueAt || now < begunAt) callback();
        else inTurns();
      });
      cancel = () => clearImmediate(turn);
    };
    const wholeMs = Math.floor(delayMs);
    if (wholeMs < 1) inTurns();
    else {
      const timeout = setTimeout(inTurns, wholeMs);
      cancel = () => clearTimeout(timeout);
    }
    return { cancel: () => cancel() };
  }
}
