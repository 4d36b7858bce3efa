import { describe, expect, it } from '@jest/globals';
import { PRODUCTION } from './batch.js';
import { type CrowdHandover, type CrowdResult, runCrowd } from './crowd-run.js';

const WISHES = {
  seed: 1,
  candidates: 100,
  handovers: 21,
  roundTripMs: 3,
  directed: false,
  membersKnown: false,
};

function medianOf(
  handovers: readonly CrowdHandover[],
  count: (of: CrowdHandover) => number,
): number {
  const inOrder = handovers.map(count).toSorted((a, b) => a - b);
  return inOrder[Math.floor(inOrder.length / 2)]!;
}

/** From the tenth handover on. */
function wastedWrites({ handovers }: CrowdResult): number {
  return medianOf(handovers.slice(10), (each) => each.wastedWrites);
}

function reads({ handovers }: CrowdResult): number {
  return handovers.reduce((sum, each) => sum + each.reads, 0);
}

describe('when a hundred candidates share one lease', () => {
  it('wastes at most three writes a handover once it is known how many they are, and no read', async () => {
    const result = await runCrowd(WISHES, PRODUCTION);
    expect(result.violations).toEqual([]);
    expect(wastedWrites(result)).toBeLessThanOrEqual(3);
    expect(reads(result)).toBe(0);
    expect(result.handovers.every(({ latencyMs }) => latencyMs! < 200)).toBe(true);
  }, 60_000);

  it('creates a missing lease with a handful of conflicts, though all start at once', async () => {
    const { creation } = await runCrowd({ ...WISHES, handovers: 1 }, PRODUCTION);
    expect(creation.wastedWrites).toBeLessThanOrEqual(8);
  }, 60_000);

  it('wastes few writes from the first handover on where the members are known', async () => {
    const result = await runCrowd({ ...WISHES, membersKnown: true }, PRODUCTION);
    expect(medianOf(result.handovers, (each) => each.wastedWrites)).toBeLessThanOrEqual(3);
  }, 60_000);

  it('wastes no write when each release names a member, which always comes first', async () => {
    const { handovers } = await runCrowd({ ...WISHES, directed: true }, PRODUCTION);
    expect(handovers.every(({ cameAsNamed }) => cameAsNamed)).toBe(true);
    expect(handovers.every((each) => each.wastedWrites <= 1)).toBe(true);
  }, 60_000);
});

describe('when three candidates share one lease', () => {
  it('hands over within the shortest window and a few requests, however long they have done so', async () => {
    const result = await runCrowd({ ...WISHES, candidates: 3 }, PRODUCTION);
    expect(medianOf(result.handovers, (each) => each.latencyMs!)).toBeLessThanOrEqual(15);
    expect(wastedWrites(result)).toBeLessThanOrEqual(1);
  });
});
