import type { ElectionCluster } from '../fleet/election-cluster.js';
import { ContenderCrowd } from '../../bench/contenders/contender-crowd.js';
import { Crowd, placeIn, type CrowdPart, type Outsiders } from './crowd.js';
import { median } from '../../test/e2e/support/figures.js';
import type { HandoverCost } from './handover-cost.js';
import type { Row } from './report.js';

const SIZES = [3, 30, 100, 300];
/** Until the record tells how many compete. */
const WARM_UP = 10;
const MEASURED = 11;
/** Of a hundred, how many are ours, and how many are of another version. */
const SHARES = [
  [0, 100],
  [50, 50],
  [95, 5],
] as const;
const CLIENT_GO = 5;

const OURS = new URL('../../lib/', import.meta.url).href;

/** What a handover costs crowds of several sizes, by the audit log of the server. */
export async function handovers(cluster: ElectionCluster): Promise<Row[]> {
  const rows: Row[] = [];
  for (const candidates of SIZES) {
    const crowd = [{ library: OURS, candidates }];
    rows.push(await measure(cluster, `crowd-${candidates}`, crowd));
    rows.push(await measure(cluster, `directed-${candidates}`, crowd, { directed: true }));
  }
  return rows;
}

/** The same in a crowd of which a part is of another version of this library. */
export async function mixedHandovers(cluster: ElectionCluster, library: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [ours, others] of SHARES) {
    const crowd = [
      { library: OURS, candidates: ours },
      { library, candidates: others },
    ];
    rows.push(await measure(cluster, `mixed-${ours}-${others}`, crowd));
  }
  return rows;
}

/** The same beside client-go. */
export async function handoversBesideClientGo(cluster: ElectionCluster): Promise<Row[]> {
  const leaseName = 'beside-client-go';
  const place = placeIn(cluster, leaseName);
  const outsiders = await ContenderCrowd.start('client-go', place, CLIENT_GO);
  const crowd = [{ library: OURS, candidates: 100 - CLIENT_GO }];
  return [await measure(cluster, leaseName, crowd, { outsiders })];
}

async function measure(
  cluster: ElectionCluster,
  leaseName: string,
  parts: readonly CrowdPart[],
  { directed = false, outsiders }: { directed?: boolean; outsiders?: Outsiders } = {},
): Promise<Row> {
  const crowd = await Crowd.prepare(placeIn(cluster, leaseName), parts, outsiders && { outsiders });
  try {
    await crowd.start();
    for (let handover = 0; handover < WARM_UP + MEASURED; handover++) {
      await crowd.handOver({ directed });
    }
    const [start, ...all] = await crowd.costs();
    return {
      candidates: parts.map(({ candidates }) => candidates).join(' + '),
      directed,
      conflictingCreations: start!.wastedWrites,
      ...figuresOf(all),
      recorded: await crowd.recorded(),
      terms: crowd.terms.join(' + '),
      overlaps: crowd.overlaps(),
    };
  } finally {
    await crowd.kill();
  }
}

function figuresOf(all: readonly HandoverCost[]): Row {
  const warm = all.slice(WARM_UP);
  const wasted = warm.map(({ wastedWrites }) => wastedWrites);
  const reads = warm.map(({ reads: count }) => count);
  const took = warm.map(({ tookMs }) => tookMs!);
  const named = warm.filter(({ cameAsNamed }) => cameAsNamed !== undefined);
  return {
    firstWastedWrites: all
      .slice(0, WARM_UP)
      .map(({ wastedWrites }) => wastedWrites)
      .join(' '),
    wastedWrites: median(wasted),
    mostWastedWrites: Math.max(...wasted),
    reads: median(reads),
    mostReads: Math.max(...reads),
    tookMs: Math.round(median(took)),
    ...(named.length > 0 && {
      cameAsNamed: `${named.filter(({ cameAsNamed }) => cameAsNamed).length} of ${named.length}`,
    }),
  };
}
