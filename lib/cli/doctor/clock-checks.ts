import { setTimeout as pause } from 'node:timers/promises';
import type { ClusterApi } from './cluster-api.js';
import { type Finding, ok, warning } from './finding.js';

/** The rules allow a clock to run so much faster or slower than true time (docs/rules.md). */
const TOLERATED_RATE = 0.2;
/** The wall clocks need not agree; but times in records and logs are read by people. */
const TOLERATED_SKEW_MS = 1_000;
const TOLERATED_STEP_MS = 50;
/** A Date header tells whole seconds: so often it is asked until the next one begins. */
const ASKED_EVERY_MS = 90;
/** Seconds of the server's clock that are measured. */
const SECONDS = 2;
const LONGEST_MS = 3_600;

/** Not before and not after. */
interface Bounds {
  readonly from: number;
  readonly to: number;
}

/**
 * The beginning of a second of the server's clock: after the last request whose answer named the second before was sent, and
 * before the first answer that names it came. Only what is so anywhere between is found, as a busy machine may be late.
 */
interface Beginning {
  readonly serverMs: number;
  readonly wallMs: Bounds;
  readonly monotonicMs: Bounds;
}

/** The clock of this machine beside that of the API server. */
export async function clockFindings(api: ClusterApi): Promise<readonly Finding[]> {
  const before = offset();
  const beginnings = await observe(api);
  const steppedMs = Math.abs(offset() - before);
  const findings = [...skewOf(beginnings), ...rateOf(beginnings)];
  if (steppedMs > TOLERATED_STEP_MS) {
    findings.push(
      warning(
        'clock.step',
        `the wall clock of this machine was set by ${Math.round(steppedMs)} ms within seconds`,
        'Let one service set the clock, and let it slew (chrony, systemd-timesyncd).',
      ),
    );
  }
  if (beginnings.length < 2) {
    return [
      ...findings,
      warning(
        'clock.unknown',
        'the API server does not say what time it is',
        'Nothing has to be done if a proxy drops the Date header.',
      ),
    ];
  }
  return findings.length > 0
    ? findings
    : [ok('clock.sane', 'the clocks of this machine and of the API server agree')];
}

/** The wall clock's distance from a clock that is never set. */
function offset(): number {
  return Date.now() - performance.now();
}

async function observe(api: ClusterApi): Promise<readonly Beginning[]> {
  const beginnings: Beginning[] = [];
  const end = performance.now() + Math.min(LONGEST_MS, api.leftMs - 300);
  let last: { readonly serverMs: number; readonly sent: Instant } | undefined;
  while (performance.now() < end && beginnings.length <= SECONDS) {
    const sent = instant();
    const answer = await api.ask({ method: 'GET', path: '/version' }, 1_000);
    const came = instant();
    const serverMs = answer.kind === 'response' ? Date.parse(answer.headers.date ?? '') : NaN;
    if (Number.isNaN(serverMs)) return beginnings;
    if (last !== undefined && serverMs > last.serverMs) {
      beginnings.push({
        serverMs,
        wallMs: { from: last.sent.wallMs, to: came.wallMs },
        monotonicMs: { from: last.sent.monotonicMs, to: came.monotonicMs },
      });
    }
    last = { serverMs, sent };
    await pause(ASKED_EVERY_MS);
  }
  return beginnings;
}

interface Instant {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

function instant(): Instant {
  return { wallMs: Date.now(), monotonicMs: performance.now() };
}

function skewOf([first]: readonly Beginning[]): Finding[] {
  if (first === undefined) return [];
  const { serverMs, wallMs } = first;
  const skewMs = nearest(0, { from: wallMs.from - serverMs, to: wallMs.to - serverMs });
  if (Math.abs(skewMs) <= TOLERATED_SKEW_MS) return [];
  const how = skewMs > 0 ? 'ahead of' : 'behind';
  return [
    warning(
      'clock.skew',
      `the clock of this machine is ${(Math.abs(skewMs) / 1_000).toFixed(1)} s ${how} that of the API server`,
      'Set it by NTP. The election does not compare wall clocks, but ticks of jobs, tokens and certificates do.',
    ),
  ];
}

function rateOf(beginnings: readonly Beginning[]): Finding[] {
  const [first, last] = [beginnings[0], beginnings.at(-1)];
  if (first === undefined || last === undefined || first === last) return [];
  const passedMs = last.serverMs - first.serverMs;
  const leastMs = last.monotonicMs.from - first.monotonicMs.to;
  const mostMs = last.monotonicMs.to - first.monotonicMs.from;
  const rate = passedMs / nearest(passedMs, { from: leastMs, to: mostMs });
  if (Math.abs(rate - 1) <= TOLERATED_RATE) return [];
  const percent = Math.round(100 * Math.abs(rate - 1));
  return [
    warning(
      'clock.rate',
      `the clock of the API server runs ${percent} % ${rate > 1 ? 'faster' : 'slower'} than that of this machine`,
      'One leader at a time is promised while no clock runs more than 20 % fast or slow: mend the clock of the machine that differs from others.',
    ),
  ];
}

/** What between these bounds is nearest to it. */
function nearest(value: number, { from, to }: Bounds): number {
  return Math.min(Math.max(value, from), to);
}
