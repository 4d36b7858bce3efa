import type {
  DashboardEvent,
  JobView,
  MemberRow,
  Part,
  RoleView,
  TermSpan,
} from '../../../lib/dashboard/dashboard-view.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export const REPLICAS = [
  'plan-7d9f8b6c5-x2x9k_3f9a12bc-7f1e-4a52-9d55-0a3b6a1f2c11',
  'plan-7d9f8b6c5-q8w4z_b81c04de-5b02-4f6b-8a86-c1d2e3f40516',
  'plan-7d9f8b6c5-l7m2n_90ad7e31-9c3d-4e8f-a7b6-d5c4b3a29180',
] as const;

const OLD = [
  'plan-5c6b7d8e9-a1b2c_11aa22bb-0000-4000-8000-000000000001',
  'plan-5c6b7d8e9-d3e4f_11aa22bb-0000-4000-8000-000000000002',
] as const;

function podOf(identity: string): string {
  return identity.replace(/_.*/, '');
}

export function roleView(role: string, changes: Partial<RoleView> = {}): RoleView {
  const at = changes.at ?? Date.now();
  const leader: RoleView['leader'] = {
    identity: REPLICAS[0],
    isThisReplica: true,
    term: 18,
    since: at - 19 * MINUTE - 7 * SECOND,
    address: '10.4.1.17:3000',
  };
  const merged = { leader, ...changes };
  return {
    role,
    lock: `Lease plans/${role}`,
    identity: REPLICAS[0],
    at,
    leaderlessSince: null,
    validity: merged.leader === null ? null : { remainingMs: 15_000, ofMs: 15_000 },
    timing: { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 },
    health: { status: 'up', reason: null },
    isEligible: true,
    members: members(merged.leader?.identity),
    lease: leaseOf(role, merged.leader, at),
    ...merged,
  };
}

function members(leader: string | undefined): MemberRow[] {
  return REPLICAS.map((identity, index) => ({
    name: podOf(identity),
    isReady: true,
    isTerminating: false,
    isLeader: identity === leader,
    isThisReplica: index === 0,
    revision: '7d9f8b6c5',
    node: `worker-${index + 1}`,
  }));
}

function leaseOf(role: string, leader: RoleView['leader'], at: number): RoleView['lease'] {
  const spec =
    leader === null
      ? { holderIdentity: '', leaseDurationSeconds: 1, leaseTransitions: 18 }
      : {
          holderIdentity: leader.identity,
          leaseDurationSeconds: 15,
          acquireTime: '2026-11-27T02:14:09.112000Z',
          renewTime: '2026-11-27T02:33:14.871000Z',
          leaseTransitions: leader.term,
        };
  const words =
    leader === null
      ? ['The lease was released by its last holder. Whichever replica writes first acquires it.']
      : [
          `${podOf(leader.identity)} holds the lease in term ${leader.term}.`,
          'It was renewed less than 2 s ago and expires 15 s after that.',
          'Three replicas compete for it.',
        ];
  const metadata = { name: role, namespace: 'plans', resourceVersion: '48211', uid: '2f0c…' };
  return {
    words,
    raw: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec },
    failure: null,
    readAt: at,
  };
}

/** A rollout five hours ago, a crash, handovers; the last one 19 minutes ago. */
export function terms(now = Date.now()): TermSpan[] {
  const steps: readonly [holder: string, minutes: number, gapMs: number, reason: string][] = [
    [OLD[0], 90, 0, 'shutdown'],
    [OLD[1], 34, 12, 'shutdown'],
    [REPLICAS[1], 71, 9, 'stepped-down'],
    [REPLICAS[2], 62, 21, 'expired'],
    [REPLICAS[0], 26, 14_212, 'stepped-down'],
    [REPLICAS[1], 17, 8, 'expired'],
    [REPLICAS[2], 11, 15_034, 'stepped-down'],
    [REPLICAS[0], 19, 1_240, ''],
  ];
  const total = steps.reduce((sum, [, minutes, gap]) => sum + minutes * MINUTE + gap, 7 * SECOND);
  let at = now - total;
  return steps.map(([holder, minutes, gap, reason], index) => {
    const from = at + gap;
    at = from + minutes * MINUTE;
    const isLast = index === steps.length - 1;
    return {
      term: 11 + index,
      holder,
      from,
      isFromRecord: index === 0,
      to: isLast ? null : at,
      reason: isLast ? null : reason,
    };
  });
}

function events(now: number): DashboardEvent[] {
  const said: readonly [number, DashboardEvent['tone'], string][] = [
    [210, 'plain', 'Acquired the lease in term 15 after 14,212 ms without a leader.'],
    [73, 'plain', 'Stepped down: asked by ops@example.com.'],
    [47, 'warning', 'Renewal took 4.1 s: the API server answered 503.'],
    [31, 'bad', 'plan-7d9f8b6c5-q8w4z did not renew; its lease expired.'],
    [30, 'good', 'plan-7d9f8b6c5-l7m2n became leader (term 17).'],
    [20, 'plain', 'plan-7d9f8b6c5-l7m2n stepped down and named this replica.'],
    [19, 'good', 'Became leader (term 18).'],
    [12, 'warning', 'close-expired-plans missed 1 tick while no replica was leader.'],
    [4, 'bad', 'send-invoices failed: connect ECONNREFUSED 10.4.0.9:5432'],
  ];
  return said.map(([minutes, tone, text], id) => ({ id, at: now - minutes * MINUTE, tone, text }));
}

interface Past {
  readonly schedule: string;
  readonly intervalMs: number;
  readonly typicalMs: number;
  readonly failures?: readonly number[];
  readonly changes?: Partial<JobView>;
}

export function jobView(
  role: string,
  job: string,
  past: Past,
  ran = 20,
  now = Date.now(),
): JobView {
  const { schedule, intervalMs, typicalMs, failures = [], changes = {} } = past;
  const nextTick = Math.ceil(now / intervalMs) * intervalMs;
  const history = Array.from({ length: ran }, (_, index): JobView['history'][number] => {
    const scheduledTime = nextTick - (ran - index) * intervalMs;
    const wave = 0.45 + 0.4 * Math.abs(Math.sin((index + job.length) * 1.7));
    const outcome = failures.includes(index) ? 'failed' : 'succeeded';
    return {
      scheduledTime,
      startedAt: scheduledTime + 40,
      endedAt: scheduledTime + 40 + Math.round(typicalMs * wave),
      holder: REPLICAS[index % 7 === 3 ? 1 : 0],
      term: index % 7 === 3 ? 16 : 18,
      outcome,
      reason: outcome === 'failed' ? 'connect ECONNREFUSED 10.4.0.9:5432' : '',
      isTriggered: false,
      attempt: 1,
    };
  });
  const failed = history.filter(({ outcome }) => outcome === 'failed').at(-1);
  return {
    role,
    job,
    at: now,
    isReadable: true,
    schedule,
    state: 'scheduled',
    suspension: null,
    nextTick,
    intervalMs,
    lastTick: history.at(-1)?.scheduledTime ?? null,
    lastSuccess: history.filter(({ outcome }) => outcome === 'succeeded').at(-1)?.endedAt ?? null,
    lastFailure: failed === undefined ? null : { at: failed.endedAt, reason: failed.reason },
    missedCount: 0,
    lastMissed: null,
    active: [],
    history,
    ...changes,
  };
}

function jobs(role: string, now: number): JobView[] {
  const hourly = { schedule: '0 * * * *', intervalMs: HOUR };
  const closing = jobView(role, 'close-expired-plans', {
    schedule: '*/5 * * * *',
    intervalMs: 5 * MINUTE,
    typicalMs: 2_400,
    changes: { missedCount: 3 },
  });
  const holed = closing.history.filter((_, index) => ![6, 7, 15].includes(index));
  return [
    { ...closing, history: holed, lastMissed: closing.history[15]!.scheduledTime },
    jobView(role, 'rebuild-search-index', {
      ...hourly,
      typicalMs: 420_000,
      changes: {
        active: [
          {
            run: 'r1',
            scheduledTime: now - 78 * SECOND,
            startedAt: now - 78 * SECOND,
            holder: REPLICAS[0],
            isTriggered: true,
            isCancelled: false,
          },
        ],
      },
    }),
    jobView(role, 'send-invoices', {
      schedule: '*/10 * * * *',
      intervalMs: 10 * MINUTE,
      typicalMs: 31_000,
      failures: [11, 18, 19],
    }),
    jobView(role, 'sync-exchange-rates', {
      schedule: '30 */2 * * *',
      intervalMs: 2 * HOUR,
      typicalMs: 900,
      changes: {
        state: 'suspended',
        nextTick: null,
        suspension: {
          by: 'ops@example.com',
          at: now - 3 * HOUR,
          reason: 'The provider answers with rates of last year; ticket 4711.',
        },
      },
    }),
    jobView(role, 'warm-cache', { schedule: '*/30 * * * * *', intervalMs: 30_000, typicalMs: 640 }),
    jobView(
      role,
      'weekly-report',
      { schedule: '0 6 * * 1', intervalMs: 168 * HOUR, typicalMs: 1 },
      0,
    ),
  ];
}

export function keyOf(kind: string, role: string, job?: string): string {
  const name = `${kind}/${encodeURIComponent(role)}`;
  return job === undefined ? name : `${name}/${encodeURIComponent(job)}`;
}

export function rolePart(view: RoleView): Part {
  return { key: keyOf('role', view.role), value: view };
}

export function jobPart(view: JobView): Part {
  return { key: keyOf('job', view.role, view.job), value: view };
}

/** All that the page can show, for one role. */
export function fullScene(role = 'plan-scheduler', now = Date.now()): Part[] {
  return [
    rolePart(roleView(role)),
    { key: keyOf('terms', role), value: { role, seenSince: now - 8 * HOUR, terms: terms(now) } },
    { key: keyOf('events', role), value: { role, events: events(now) } },
    ...jobs(role, now).map(jobPart),
  ];
}

/** Just started, without jobs, members or a first term. */
export function emptyScene(role = 'plan-scheduler', now = Date.now()): Part[] {
  const vacant = { leader: null, leaderlessSince: null, members: null, isEligible: true };
  const lease = { words: [], raw: null, failure: null, readAt: null };
  return [
    rolePart(roleView(role, { ...vacant, lease })),
    { key: keyOf('terms', role), value: { role, seenSince: now, terms: [] } },
    { key: keyOf('events', role), value: { role, events: [] } },
  ];
}

/** Everything that can be wrong at once. */
export function failingScene(role = 'plan-scheduler', now = Date.now()): Part[] {
  const all = terms(now - 3_400);
  const last = all.at(-1)!;
  const ended = { ...last, to: now - 3_400, reason: 'expired' };
  const failure = 'GET https://10.96.0.1:443 answered 503: etcdserver: leader changed';
  const lease = { ...leaseOf(role, null, now), words: [], raw: null, failure };
  const rows = members(undefined).map((row, index) => ({
    ...row,
    isReady: index !== 1,
    isTerminating: index === 2,
  }));
  const view = roleView(role, {
    leader: null,
    leaderlessSince: now - 3_400,
    members: rows,
    health: { status: 'degraded', reason: 'no answer from the API server for 12 s' },
    lease,
  });
  const [first, ...rest] = jobs(role, now);
  return [
    rolePart(view),
    {
      key: keyOf('terms', role),
      value: { role, seenSince: now - 8 * HOUR, terms: [...all.slice(0, -1), ended] },
    },
    { key: keyOf('events', role), value: { role, events: events(now) } },
    jobPart({ ...first!, isReadable: false, history: [], lastTick: null, lastSuccess: null }),
    ...rest.map((job, index) =>
      jobPart(index === 3 ? { ...job, state: 'unknown-to-leader', nextTick: null } : job),
    ),
  ];
}

/** 1,000 jobs that ran 20 times each. */
export function crowdedScene(role = 'plan-scheduler', jobCount = 1_000): Part[] {
  const now = Date.now();
  const names = ['sync', 'close', 'send', 'rebuild', 'purge', 'warm', 'report', 'import'];
  return [
    ...fullScene(role, now).filter(({ key }) => !key.startsWith('job/')),
    ...Array.from({ length: jobCount }, (_, index) =>
      jobPart(
        jobView(role, `${names[index % names.length]}-tenant-${String(index).padStart(4, '0')}`, {
          schedule: `*/${1 + (index % 15)} * * * *`,
          intervalMs: (1 + (index % 15)) * MINUTE,
          typicalMs: 200 + (index % 40) * 90,
          failures: index % 50 === 0 ? [19] : [],
        }),
      ),
    ),
  ];
}

/** Several roles, one of them without a leader. */
export function rolesScene(): Part[] {
  const now = Date.now();
  const others = ['billing', 'cache-warmer', 'mail-outbox', 'search-indexer', 'tenant-purge'];
  return [
    ...fullScene(),
    ...others.map((role, index) =>
      rolePart(
        index === 2
          ? roleView(role, { leader: null, leaderlessSince: now - 3_400 })
          : roleView(role, {
              leader: {
                identity: REPLICAS[index % 3]!,
                isThisReplica: index % 3 === 0,
                term: 3 + index,
                since: now - (index * 7 + 1) * HOUR,
                address: null,
              },
              validity: { remainingMs: 15_000 - index * 400, ofMs: 15_000 },
            }),
      ),
    ),
  ];
}
