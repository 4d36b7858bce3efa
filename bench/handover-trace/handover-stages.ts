import type { AuditEntry } from '../../proof/control-plane/audit-log.js';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';
import type { ProbeEvent, ProbeProcess } from '../../test/e2e/support/probe-process.js';
import type { TracedStage } from './hooks.js';

/** One handover, as the processes have told it. Instants are milliseconds of the clock that they share. */
export interface TracedHandover {
  /** SIGTERM was sent. */
  readonly askedAt: number;
  readonly leader: ProbeProcess;
  readonly follower: ProbeProcess;
  readonly granted: ProbeEvent;
  /** What the wall clock of the server lacked of that clock. */
  readonly wallOffsetMs: number;
}

/** Milliseconds of each stage, in the order in which they come; together the whole. */
export const STAGES = [
  'signal delivered',
  'handler of `@OnRevoked` called',
  'release sent',
  'release received by the server',
  'release in the server',
  'heard of by the watch of the follower',
  'acquisition sent',
  'acquisition received by the server',
  'acquisition in the server',
  'answer heard',
  'handler of `@OnGranted` called',
] as const;

type Stage = (typeof STAGES)[number];

export interface MeasuredHandover {
  readonly stages: Readonly<Record<Stage, number>>;
  readonly wholeMs: number;
  /** CPU time of the leader from the signal to the release. */
  readonly leaderCpuMs: number;
  /** CPU time of the follower from the watch event to the acquisition, and from its answer to the handler. */
  readonly followerCpuMs: number;
  /** The follower had no connection that it could send on. */
  readonly hasConnected: boolean;
  /** Acquisitions of others that the server refused. */
  readonly wastedWrites: number;
}

/** Milliseconds to add to a wall clock that all processes of the machine share, to get the monotonic one. */
export function wallOffsetMs(): number {
  const readings = Array.from({ length: 6 }, () => {
    const before = Date.now();
    let now = before;
    while (now === before) now = Date.now();
    return monotonicMs() - now;
  });
  // It is read after the wall clock has ticked, never before.
  return Math.min(...readings);
}

/** @param entries of the server's audit log, of the lease of this handover */
export function measured(
  { askedAt, leader, follower, granted, wallOffsetMs: offset }: TracedHandover,
  entries: readonly AuditEntry[],
): MeasuredHandover {
  const at = (instant: string): number => wallMs(instant) + offset;
  const writes = entries
    .filter(({ verb }) => verb === 'update')
    .map(({ code, requestReceivedTimestamp, stageTimestamp }) => ({
      code,
      receivedAt: at(requestReceivedTimestamp),
      answeredAt: at(stageTimestamp),
    }));
  // The instant at which a request has left is read after that, and a busy machine may do other things first: writes are told
  // by their order.
  const applied = writes.filter(
    ({ code, receivedAt }) => code === 200 && receivedAt > askedAt && receivedAt < granted.at,
  );
  const released = demanded('release in the audit log', applied.at(-2));
  const acquired = demanded('acquisition in the audit log', applied.at(-1));
  const signalled = traced(leader, 'signalled', askedAt, Infinity).at(0);
  const release = traced(leader, 'sent', askedAt, Infinity).at(-1);
  const acquisition = traced(follower, 'sent', askedAt, granted.at).at(-1);
  const revoked = leader.events.find(
    ({ event, at: when }) => event === 'revoked' && when > askedAt,
  );
  const sent = demanded('release', release);
  const acquiring = demanded('acquisition', acquisition);
  const heard = demanded('watch event', traced(follower, 'heard', askedAt, acquiring.at).at(-1));
  const answered = demanded(
    'answer',
    traced(follower, 'answered', acquiring.at, granted.at).at(-1),
  );
  const told = demanded('signal', signalled);
  const instants = [
    askedAt,
    told.at,
    demanded('revocation', revoked).at,
    sent.at,
    released.receivedAt,
    released.answeredAt,
    heard.at,
    acquiring.at,
    acquired.receivedAt,
    acquired.answeredAt,
    answered.at,
    granted.at,
  ];
  const lengths = STAGES.map((stage, index) => [stage, instants[index + 1]! - instants[index]!]);
  return {
    stages: Object.fromEntries(lengths) as Record<Stage, number>,
    wholeMs: granted.at - askedAt,
    leaderCpuMs: cpuBetween(told, sent),
    followerCpuMs: cpuBetween(heard, acquiring) + cpuBetween(answered, granted),
    hasConnected: traced(follower, 'connected', heard.at, granted.at).length > 0,
    wastedWrites: writes.filter(
      ({ code, receivedAt }) => code === 409 && receivedAt > askedAt && receivedAt < granted.at,
    ).length,
  };
}

function traced(
  { events }: ProbeProcess,
  stage: TracedStage,
  from: number,
  to: number,
): readonly ProbeEvent[] {
  return events.filter((event) => event.stage === stage && event.at >= from && event.at <= to);
}

function cpuBetween(from: ProbeEvent, to: ProbeEvent): number {
  return to.cpuMs! - from.cpuMs!;
}

/** RFC 3339 with six digits, of which a Date would drop three. */
function wallMs(instant: string): number {
  const seconds = instant.indexOf('.');
  return (
    Date.parse(`${instant.slice(0, seconds)}Z`) + Number(`0${instant.slice(seconds, -1)}`) * 1_000
  );
}

function demanded<T>(what: string, value: T | undefined): T {
  if (value === undefined) throw new Error(`a handover has no ${what}`);
  return value;
}
