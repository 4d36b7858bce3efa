import { setTimeout as delay } from 'node:timers/promises';
import { HandoverFloor } from '../../test/e2e/support/handover-floor.js';
import { type Figure, figure } from '../figure.js';
import {
  measured,
  type MeasuredHandover,
  STAGES,
  type TracedHandover,
} from '../handover-trace/handover-stages.js';
import { type Candidates, TracedFleet } from '../handover-trace/traced-fleet.js';
import type { Cell, Findings, Ground, Part } from '../measure.js';

const HANDOVERS = 50;
const WARM_UP = 2;
/** The audit log is written a moment after the answer. */
const AUDIT_MS = 500;

export const handoverTrace: Part = {
  key: 'handover-trace',
  title: 'Where a graceful handover goes',
  run: (ground) => traceHandovers(ground, []),
};

/** Other checkouts, in which `npm run build:tools` has run, take turns with this one. */
export async function traceHandovers(
  ground: Ground,
  others: readonly string[],
  handovers = HANDOVERS,
): Promise<Findings> {
  const kinds = ['.', ...others].flatMap(kindsOf);
  const rounds = ground.isQuick ? 1 : handovers + WARM_UP;
  const fleets: TracedFleet[] = [];
  const floor = await HandoverFloor.open(ground.cluster, 'handover-trace-floor');
  const floors: number[] = [];
  const traced = kinds.map((): TracedHandover[] => []);
  try {
    for (const kind of kinds) fleets.push(await TracedFleet.start(ground.cluster, kind));
    for (let round = 1; round <= rounds; round += 1) {
      if (round % 10 === 1) ground.say(`handover ${round} of ${rounds}`);
      for (const [index, fleet] of fleets.entries()) {
        floors.push(await floor.measure());
        traced[index]!.push(await fleet.handOver());
      }
    }
    await delay(AUDIT_MS);
    const entries = await ground.cluster.server.auditLog();
    const found = fleets.map(({ leasePath }, index) => {
      const own = entries.filter(({ requestURI }) => requestURI.includes(leasePath));
      const counted = ground.isQuick ? traced[index]! : traced[index]!.slice(WARM_UP);
      return counted.map((handover) => measured(handover, own));
    });
    return findings(kinds, found, figure(floors, 'ms'));
  } finally {
    floor.close();
    for (const fleet of fleets) await fleet.stop();
  }
}

function kindsOf(checkout: string): Candidates[] {
  const of = checkout === '.' ? '' : ` of ${checkout}`;
  return [
    { name: `just started${of}`, checkout },
    { name: `started long ago${of}`, checkout, areOld: true },
    { name: `named by the leader${of}`, checkout, areNamed: true },
  ];
}

type Row = readonly [string, (handover: MeasuredHandover) => number];

const ROWS: readonly Row[] = [
  ...STAGES.map((stage): Row => [stage, ({ stages }) => stages[stage]]),
  ['**the whole handover**', ({ wholeMs }) => wholeMs],
  ['CPU time of the leader, from the signal to the release', ({ leaderCpuMs }) => leaderCpuMs],
  ['CPU time of the follower, without what it waits for', ({ followerCpuMs }) => followerCpuMs],
];

function findings(
  kinds: readonly Candidates[],
  found: readonly (readonly MeasuredHandover[])[],
  floor: Figure,
): Findings {
  const cells = (cell: (handovers: readonly MeasuredHandover[]) => Cell): Cell[] => found.map(cell);
  const rows = ROWS.map(([name, valueOf]): Cell[] => [
    name,
    ...cells((handovers) => figure(handovers.map(valueOf), 'ms')),
  ]);
  return {
    tables: [
      {
        title: 'Stages of a handover',
        text: TEXT,
        columns: ['until', ...kinds.map(({ name }) => name)],
        rows: [
          ...rows,
          ['floor: PUT, delivery to a watch, PUT', ...kinds.map(() => floor)],
          [
            'median of the whole, as a multiple of the floor',
            ...cells((handovers) => overFloor(handovers, floor)),
          ],
          [
            'handovers for which the follower had to open a connection',
            ...cells((all) => all.filter(({ hasConnected }) => hasConnected).length),
          ],
          [
            'writes in vain, of all handovers',
            ...cells((all) => all.reduce((sum, { wastedWrites }) => sum + wastedWrites, 0)),
          ],
        ],
      },
    ],
    targets: [],
  };
}

function overFloor(handovers: readonly MeasuredHandover[], floor: Figure): number {
  const { median } = figure(
    handovers.map(({ wholeMs }) => wholeMs),
    'ms',
  );
  return Math.round((median / floor.median) * 100) / 100;
}

const TEXT = `Each stage begins where the one before it ends; the first when SIGTERM is sent to one of three replicas of an
application of NestJS, each with the service account of a pod. The replicas say when their requests leave and are answered and
when their watch brings something, and the audit log of the server says when requests arrive and how long they take there.
"Acquisition sent" contains the random wait by which candidates give way to each other: of up to 10 ms, or more where a write takes
long to be heard of (R22). Medians of stages do not add up to the median of the whole. The standbys of "started long ago" have no open connection for requests, as the API server
closes one that is idle for 90 seconds. Those of "named by the leader" know each other (\`members: true\`) and have
\`placement: 'newest'\`, so that the one whom the release names acquires without a wait.`;
