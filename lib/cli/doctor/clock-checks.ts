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

/** The beginning of a second of the server's clock. */
interface Beginning {
  readonly serverMs: number;
  readonly wallMs: number;
  readonly monotonicMs: number;
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
  let last: number | undefined;
  while (performance.now() < end && beginnings.length <= SECONDS) {
    const answer = await api.ask({ method: 'GET', path: '/version' }, 1_000);
    const [wallMs, monotonicMs] = [Date.now(), performance.now()];
    const serverMs = answer.kind === 'response' ? Date.parse(answer.headers.date ?? '') : NaN;
    if (Number.isNaN(serverMs)) return beginnings;
    if (last !== undefined && serverMs > last) beginnings.push({ serverMs, wallMs, monotonicMs });
    last = serverMs;
    await pause(ASKED_EVERY_MS);
  }
  return beginnings;
}

function skewOf([first]: readonly Beginning[]): Finding[] {
  if (first === undefined) return [];
  const skewMs = first.wallMs - first.serverMs;
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
  const rate = (last.serverMs - first.serverMs) / (last.monotonicMs - first.monotonicMs);
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
