import type { ElectionCluster } from '../fleet/election-cluster.js';
import { Crowd, type CrowdPart, type HandoverCost } from './crowd.js';
import { quantile } from './quantile.js';
import type { Row } from './report.js';

const SIZES = [3, 30, 300];
/** Until the record tells how many compete. */
const WARM_UP = 10;
const MEASURED = 15;

const OURS = new URL('../../lib/', import.meta.url).href;

/** What a handover costs crowds of several sizes, by the audit log of the server. */
export async function handovers(cluster: ElectionCluster): Promise<Row[]> {
  const rows: Row[] = [];
  for (const candidates of SIZES) {
    const crowd = [{ library: OURS, candidates }];
    rows.push(await measure(cluster, `crowd-${candidates}`, crowd));
    rows.push(await measure(cluster, `directed-${candidates}`, crowd, true));
  }
  return rows;
}

/** The same in a crowd of which a part is of another version of this library. */
export async function mixedHandovers(cluster: ElectionCluster, library: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [ours, others] of [
    [0, 100],
    [95, 5],
    [50, 50],
    [5, 95],
  ] as const) {
    const crowd = [
      { library: OURS, candidates: ours },
      { library, candidates: others },
    ];
    rows.push(await measure(cluster, `mixed-${ours}-${others}`, crowd));
  }
  return rows;
}

async function measure(
  cluster: ElectionCluster,
  leaseName: string,
  parts: readonly CrowdPart[],
  directed = false,
): Promise<Row> {
  const crowd = await Crowd.prepare(cluster, leaseName, parts);
  try {
    await crowd.start();
    for (let handover = 0; handover < WARM_UP + MEASURED; handover++) {
      await crowd.handOver({ directed });
    }
    const [start, ...all] = await crowd.costs();
    const [ours, others] = parts;
    return {
      candidates: ours!.candidates,
      ...(others !== undefined && { ofTheOtherVersion: others.candidates }),
      directed,
      conflictingCreations: start!.wastedWrites,
      ...figuresOf(all),
      ...(others !== undefined && { termsOfTheOtherVersion: crowd.grants(1) }),
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
    wastedWrites: quantile(wasted, 0.5),
    mostWastedWrites: Math.max(...wasted),
    reads: quantile(reads, 0.5),
    mostReads: Math.max(...reads),
    tookMs: Math.round(quantile(took, 0.5)),
    ...(named.length > 0 && {
      cameAsNamed: `${named.filter(({ cameAsNamed }) => cameAsNamed).length} of ${named.length}`,
    }),
  };
}
