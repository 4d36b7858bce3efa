import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ContenderCrowd } from '../../bench/contenders/contender-crowd.js';
import { findBinary } from '../../proof/control-plane/binaries.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster } from '../../proof/fleet/election-cluster.js';
import { Crowd, placeIn, type CrowdPart, type Outsiders } from '../../proof/kubernetes/crowd.js';
import { MutantBuild } from '../../proof/mutants/mutant-build.js';
import { BEFORE_CROWDS } from '../../proof/simulation/mutants-of-crowds.js';
import { Figures, median } from './support/figures.js';

const tools = new URL('../../.tools/', import.meta.url);
const OURS = new URL('lib/', tools).href;
const PROGRAM = fileURLToPath(new URL('proof/kubernetes/crowd-candidates.js', tools));
/** All that a candidate on a Lease imports. */
const PARTS = [
  'core',
  'elector',
  'kubernetes',
  'kubernetes/connection',
  'kubernetes/http',
  'locks',
  'locks/kubernetes',
  'members',
];
const HANDOVERS = 8;
const LIMIT_MS = 120_000;

let cluster: ElectionCluster;
let build: MutantBuild;
/** One window for any number of candidates, as before R22. */
let before: string;
const figures = new Figures();

beforeAll(async () => {
  await findBinary('client-go-elector');
  cluster = await ElectionCluster.start();
  build = await MutantBuild.open(PARTS, { isOfOtherProcesses: true });
  await build.build(BEFORE_CROWDS.name, BEFORE_CROWDS.patches);
  before = pathToFileURL(`${build.folderOf(BEFORE_CROWDS.name)}/`).href;
}, FIRST_START_LIMIT_MS);

afterAll(async () => {
  figures.print();
  await build?.close();
  await cluster?.stop();
});

beforeEach(() => cluster.deleteLease());

async function play(
  parts: readonly CrowdPart[],
  { directed = false, outsiders }: { directed?: boolean; outsiders?: Outsiders } = {},
) {
  const options = { program: PROGRAM, ...(outsiders !== undefined && { outsiders }) };
  const crowd = await Crowd.prepare(placeIn(cluster, cluster.leaseName), parts, options);
  try {
    await crowd.start();
    for (let handover = 0; handover < HANDOVERS; handover++) await crowd.handOver({ directed });
    const [, ...costs] = await crowd.costs();
    const wasted = costs.map(({ wastedWrites }) => wastedWrites).join(' ');
    const sizes = parts.map(({ candidates }) => candidates).join(' + ');
    figures.note(`wasted writes of ${HANDOVERS} handovers among ${sizes} candidates: ${wasted}`);
    return { costs, terms: crowd.terms, overlaps: crowd.overlaps() };
  } finally {
    await crowd.kill();
  }
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

describe('when 30 candidates share a Lease of a real API server', () => {
  it(
    'each handover is followed, standbys do not read, and two never lead at once',
    async () => {
      const { costs, terms, overlaps } = await play([{ library: OURS, candidates: 30 }]);
      expect(sum(terms)).toBeGreaterThan(HANDOVERS);
      expect(median(costs.map(({ reads }) => reads))).toBe(0);
      expect(overlaps).toBe(0);
    },
    LIMIT_MS,
  );

  it(
    'whom a release names follows it',
    async () => {
      const { costs, overlaps } = await play([{ library: OURS, candidates: 30 }], {
        directed: true,
      });
      expect(costs.filter(({ cameAsNamed }) => cameAsNamed).length).toBeGreaterThan(HANDOVERS / 2);
      expect(overlaps).toBe(0);
    },
    LIMIT_MS,
  );
});

describe('when a part of a crowd has one window for any number of candidates, as older versions have', () => {
  it(
    'each handover is followed, and two never lead at once',
    async () => {
      const { terms, overlaps } = await play([
        { library: OURS, candidates: 15 },
        { library: before, candidates: 15 },
      ]);
      expect(sum(terms)).toBeGreaterThan(HANDOVERS);
      expect(overlaps).toBe(0);
    },
    LIMIT_MS,
  );
});

describe("when client-go's electors are among a crowd", () => {
  it(
    'each handover is followed, and two never lead at once',
    async () => {
      const outsiders = await ContenderCrowd.start('client-go', cluster, 3);
      const { terms, overlaps } = await play([{ library: OURS, candidates: 30 }], { outsiders });
      expect(sum(terms)).toBeGreaterThan(HANDOVERS);
      expect(overlaps).toBe(0);
    },
    LIMIT_MS,
  );
});
