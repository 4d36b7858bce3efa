import type { OptionFault } from '../../core/errors.js';
import { OptionReader } from '../../core/option-reader.js';
import type { InterruptionPolicy } from '../once/once-decision.js';
import type { OnceContext, OnceDefinition } from '../once/once-work.js';
import { readVersion, VERSION_RULE } from '../once/once-version.js';
import { faultsOf } from './leader-cron.options.js';

/** What `LeaderSchedule.once()` takes beside key, version and function. */
export interface OnceOptions {
  /**
   * The role beside whose lease it is recorded.
   * @default the only role of the application
   * @example
   * role: 'plan-scheduler'
   */
  readonly role?: string;
  /**
   * How long to wait for a run of another replica, in milliseconds; then OnceTimeoutError says which replica is at it. A
   * run in this process is never cut short; that its end is recorded is waited for as long.
   * @default 300_000
   * @example
   * waitTimeoutMs: 600_000
   */
  readonly waitTimeoutMs?: number;
  /**
   * What becomes of a run whose process died, or that ended after its signal had been aborted. `'fail'`: it counts as failed
   * and never runs again at this version. `'rerun'`: the next replica runs it again, so it has to bear that, and to
   * end when its signal is aborted.
   * @default 'fail'
   * @example
   * onInterrupted: 'rerun'
   */
  readonly onInterrupted?: InterruptionPolicy;
}

/** What `@LeaderOnce()` takes. */
export interface LeaderOnceOptions extends OnceOptions {
  /**
   * Identifies the work in the whole fleet. Must be unique in the application.
   * @example
   * key: 'schema'
   */
  readonly key: string;
  /**
   * A whole number, or text of numbers with dots between them. It runs once for each version that is newer than all
   * before, compared part by part as numbers: `'1.10'` is newer than `'1.9'`. An older version never runs again.
   * @example
   * version: '1.10'
   */
  readonly version: number | string;
  /**
   * `true`: the start of the application waits until the work is over in the fleet, and fails if it failed.
   * `'readiness'`: the application starts, and `LeaderSchedule.onceReadiness()` is not ready until then. `false`: it starts
   * at once.
   * @default false
   * @example
   * waitForOthers: 'readiness'
   */
  readonly waitForOthers?: boolean | 'readiness';
}

/** Work as the user gave it, by a decorator or by `LeaderSchedule.once()`. */
export interface WrittenOnce {
  /** For messages, e.g. `@LeaderOnce() on Migrations.run`. */
  readonly place: string;
  readonly options: unknown;
  readonly run: (context: OnceContext) => unknown;
  /**
   * What is called, as it was given.
   * @default run
   */
  readonly method?: unknown;
  /** `@LeaderOnly()` may keep a call from reaching it, or a method of the same name that it calls as `super`. */
  readonly isGated?: boolean;
}

export interface ReadOnce {
  readonly role: string | undefined;
  readonly definition: OnceDefinition;
  readonly waitForOthers: boolean | 'readiness';
  readonly waitTimeoutMs: number;
}

const OPTION_NAMES = ['key', 'version', 'role', 'waitForOthers', 'waitTimeoutMs', 'onInterrupted'];
const POLICIES: readonly InterruptionPolicy[] = ['fail', 'rerun'];
const WAITING: readonly (boolean | 'readiness')[] = [true, false, 'readiness'];
const WAIT_TIMEOUT_MS = 300_000;
const LONGEST_KEY = 200;

/** The checked work, or every fault of it. */
export function readOnce({
  place,
  options,
  run,
  method = run,
  isGated = false,
}: WrittenOnce): ReadOnce | OptionFault[] {
  const reader = new OptionReader(options, OPTION_NAMES);
  const key = reader.required('key', reader.text('key', 'schema', LONGEST_KEY), 'schema');
  const definition: OnceDefinition = {
    key,
    version: versionIn(reader),
    onInterrupted: reader.oneOf('onInterrupted', POLICIES, 'fail'),
    run,
  };
  const waitForOthers = reader.oneOf('waitForOthers', WAITING, false);
  const waitTimeoutMs = reader.milliseconds('waitTimeoutMs', WAIT_TIMEOUT_MS, 1);
  const role = reader.text('role', 'plan-scheduler');
  if (isGated) {
    const rule =
      'must not be gated by @LeaderOnly() on the method, its class or the method above it: a replica that does not lead the role would skip it, and it would be recorded as done';
    const fix =
      'remove @LeaderOnly(), as one replica runs it anyway, or move it to a class of its own';
    reader.fault('method', undefined, rule, fix);
  }
  faultOfMethod(reader, method);
  const faults = faultsOf(reader, place);
  return faults.length > 0 ? faults : { role, definition, waitForOthers, waitTimeoutMs };
}

/** A claimed version is used up, whatever comes of the call. */
function faultOfMethod(reader: OptionReader, method: unknown): void {
  if (typeof method !== 'function') {
    reader.fault('work', method, 'must be a function', 'pass the function that does the work');
  } else if (Object.prototype.toString.call(method) === '[object GeneratorFunction]') {
    const rule =
      'must not be a generator function: nothing iterates what it returns, so its body would not run';
    reader.fault('work', method, rule, 'make it async, or an async generator');
  }
}

function versionIn(reader: OptionReader): string {
  const written = reader.get('version');
  const version = readVersion(written);
  if (version !== undefined) return version;
  const fix = 'number the versions of this work, and raise the number when it has to run again';
  if (written === undefined) reader.fault('version', undefined, 'is required', fix);
  else reader.fault('version', written, VERSION_RULE, fix);
  return '0';
}
