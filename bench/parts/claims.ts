import { fileURLToPath } from 'node:url';
import { AskedProcess } from '../asked-process.js';
import { figure } from '../figure.js';
import type { Findings, Ground, Part, Table } from '../measure.js';
import type { ClaimRound, JobKind } from './claims-process.js';

const COUNTS = [1, 10, 100, 1_000];
const ROUNDS = 3;
/** With few jobs more seconds, for as many of them. */
const windowMs = (count: number): number => (count < 100 ? 8_000 : 5_000);

const PROGRAM = fileURLToPath(new URL('./claims-process.js', import.meta.url));

export const claims: Part = {
  key: 'claims',
  title: 'What a claim costs',
  run: measureClaims,
};

/** What was measured of so many jobs. */
export interface ClaimsOf {
  readonly jobs: number;
  readonly claimed: readonly ClaimRound[];
  readonly plain: readonly ClaimRound[];
}

async function measureClaims(ground: Ground): Promise<Findings> {
  const counts = ground.isQuick ? COUNTS.slice(0, 2) : COUNTS;
  const found = counts.map((jobs) => ({
    jobs,
    claimed: [] as ClaimRound[],
    plain: [] as ClaimRound[],
  }));
  const rounds = ground.isQuick ? 1 : ROUNDS;
  for (let round = 1; round <= rounds; round += 1) {
    for (const each of found) {
      ground.say(`round ${round} of ${rounds}: ${each.jobs} jobs`);
      const ms = ground.isQuick ? 2_000 : windowMs(each.jobs);
      // Which is first changes, as a machine may be busy at first.
      const kinds: JobKind[] = round % 2 === 1 ? ['plain', 'claimed'] : ['claimed', 'plain'];
      for (const kind of kinds) {
        const role = `claims-${each.jobs}-${round}`;
        each[kind].push(await claimRound(ground, [kind, String(each.jobs)], role, ms));
      }
    }
  }
  return {
    tables: [claimsTable(found)],
    targets: [],
    growth: [
      {
        what: 'from when a job is due to its handler, median',
        unit: 'ms',
        sizeOf: 'jobs due at once',
        lines: [
          { name: '`@LeaderCron`', points: pointsOf(found, 'claimed') },
          { name: 'plain `@Cron`', points: pointsOf(found, 'plain') },
        ],
      },
    ],
  };
}

async function claimRound(
  { cluster }: Ground,
  args: readonly string[],
  role: string,
  ms: number,
): Promise<ClaimRound> {
  const file = cluster.server.adminKubeconfig;
  const application = await AskedProcess.start(PROGRAM, [...args, file, role]);
  try {
    return await application.ask<ClaimRound>(String(ms));
  } finally {
    await application.end();
  }
}

const latenciesOf = (rounds: readonly ClaimRound[]): readonly number[] =>
  rounds.flatMap(({ latencies }) => latencies);

function pointsOf(found: readonly ClaimsOf[], kind: JobKind) {
  return found.map((each) => ({
    size: each.jobs,
    value: figure(latenciesOf(each[kind]), 'ms').median,
  }));
}

export function claimsTable(found: readonly ClaimsOf[]): Table {
  return {
    title: 'Jobs that are due in every second, on one schedule object',
    text: 'From the second in which a job is due to the start of its handler, of every run: with plain `@Cron` on every replica, and with `@LeaderCron`, which first claims the ticks that are due by one write to the API server. The write is what the client waits for it. Claims and CPU time are those of each round; CPU time is that of the whole process, for each second. The two take turns, in processes of their own.',
    columns: [
      'jobs',
      '`@Cron`',
      '`@LeaderCron`',
      'of which the write',
      'added, median',
      'claims',
      'writes',
      'CPU a second, `@Cron`',
      'CPU a second, `@LeaderCron`',
    ],
    rows: found.map(({ jobs, claimed, plain }) => {
      const [with_, without] = [claimed, plain].map((each) => figure(latenciesOf(each), 'ms'));
      const each = (pick: (round: ClaimRound) => number): readonly number[] => claimed.map(pick);
      const cpu = (rounds: readonly ClaimRound[]) =>
        figure(
          rounds.map(({ cpuMsPerSecond }) => cpuMsPerSecond),
          'ms',
        );
      return [
        jobs,
        without,
        with_,
        figure(
          claimed.flatMap(({ writes }) => writes),
          'ms',
        ),
        figure([with_!.median - without!.median], 'ms'),
        figure(
          each(({ latencies, ms }) => latencies.length / (ms / 1_000)),
          'per second',
        ),
        figure(
          each(({ writes, ms }) => writes.length / (ms / 1_000)),
          'per second',
        ),
        cpu(plain),
        cpu(claimed),
      ];
    }),
  };
}
