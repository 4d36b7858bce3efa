import { ElectionCluster } from '../proof/fleet/election-cluster.js';
import type { Ground, Part } from './measure.js';
import { machine, type Report } from './performance-page.js';

/** Longer than any run of all parts. */
const TOKEN_SECONDS = 7_200;

interface Manner {
  readonly isQuick: boolean;
  /** Prints what was found: also if a part has failed, as what the others found may have taken them half an hour. */
  readonly print: (report: Report) => Promise<void> | void;
}

/** Measures one part after the other on an API server of their own. */
export async function benchmark(
  parts: readonly Part[],
  { isQuick, print }: Manner,
): Promise<Report> {
  const cluster = await ElectionCluster.start(TOKEN_SECONDS);
  const report: Report = { machine: await machine(cluster), minutes: 0, parts: [] };
  const begun = performance.now();
  const say = (line: string): void => {
    const seconds = Math.round((performance.now() - begun) / 1_000);
    console.error(`${seconds} s: ${line}`);
  };
  const ground: Ground = { cluster, isQuick, say };
  try {
    for (const part of parts) {
      const { key, title } = part;
      say(title);
      report.parts.push({ key, title, ...(await part.run(ground)) });
    }
    report.minutes = Math.round((performance.now() - begun) / 60_000);
  } finally {
    await cluster.stop();
    await print(report);
  }
  return report;
}
