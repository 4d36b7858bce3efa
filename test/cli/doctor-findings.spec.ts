import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { FAULT_CODES, type Finding, WELL_CODES } from '../../lib/cli/doctor/finding.js';
import { FAULT_PLANTS, type Plant, WELL_PLANTS } from './doctor-plants.js';
import { type Diagnosis, DoctorSite } from './doctor-site.js';

const WITHIN_MS = 5_000;

let site: DoctorSite;

beforeAll(async () => {
  site = await DoctorSite.start();
});
afterEach(() => {
  jest.restoreAllMocks();
  site.mend();
});
afterAll(() => site.stop());

const TICK_MS = 50;

/** How long it took while this process had the processor: a busy machine that lets it wait does not count. */
async function timed<T>(work: () => Promise<T>): Promise<{ result: T; tookMs: number }> {
  let ticks = 0;
  const ticking = setInterval(() => (ticks += 1), TICK_MS);
  try {
    return { result: await work(), tookMs: ticks * TICK_MS };
  } finally {
    clearInterval(ticking);
  }
}

async function diagnosed({ plant }: Plant): Promise<Diagnosis> {
  const planted = await plant(site);
  return Array.isArray(planted) ? site.ask(...planted) : planted;
}

const rows = (plants: readonly Plant[]) =>
  plants.map((plant): [string, string, Plant] => [plant.code, plant.what, plant]);

/** With its angle brackets, as the list has it. */
function familyOf(code: Finding['code']): string {
  if (code.startsWith('rights.missing-')) return 'rights.missing-<verb>-<resource>';
  return /^config\.(?!fit$)/.test(code) ? 'config.<option>' : code;
}

const familiesOf = (plants: readonly Plant[]) =>
  [...new Set(plants.map(({ code }) => familyOf(code)))].toSorted();

describe('when a fault is planted', () => {
  it.each(rows(FAULT_PLANTS))(
    'names %s, where %s, and what to do, within 5 s',
    async (code, _, plant) => {
      const { result, tookMs } = await timed(() => diagnosed(plant));
      const { findings, err } = result;
      expect(findings.map((each) => each.code)).toContain(code);
      const { severity, what, fix } = findings.find((each) => each.code === code)!;
      expect(severity).toBe(plant.severity);
      expect(fix).toMatch(/\w/);
      expect(`${what} ${fix}`).toMatch(plant.says);
      expect(result.code).toBe(findings.some((each) => each.severity === 'error') ? 1 : 0);
      expect(err).toBe('');
      expect(tookMs).toBeLessThan(WITHIN_MS);
    },
  );
});

describe('when something is well', () => {
  it.each(rows(WELL_PLANTS))('says %s, where %s', async (code, _, plant) => {
    const { findings } = await diagnosed(plant);
    const { severity, what, fix } = findings.find((each) => each.code === code)!;
    expect(severity).toBe('ok');
    expect(what).toMatch(plant.says);
    expect(fix).toBeUndefined();
  });
});

describe('when what it can say is counted', () => {
  const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');

  it('is planted: each fault that it can name', () => {
    expect(familiesOf(FAULT_PLANTS)).toEqual(FAULT_CODES.toSorted());
  });

  it('is shown: each thing that it calls well', () => {
    expect(familiesOf(WELL_PLANTS)).toEqual(WELL_CODES.toSorted());
  });

  /** The codes of the rows of the table whose first cell passes. */
  function documented(isMeant: (about: string) => boolean): string[] {
    const [, table = ''] =
      /codes stay the same in later versions:\n\n(\|[^]*?)\n\n/.exec(page) ?? [];
    const lines = table.split('\n').filter((line) => isMeant(line.split('|')[1]!.trim()));
    return lines.flatMap((line) =>
      [...line.matchAll(/`([a-z]+\.[^`]+)`/g)].map(([, code]) => code!),
    );
  }

  it('is in docs/cli.md: each code, and no other', () => {
    const isWell = (about: string): boolean => about === 'what is well';
    expect(documented(isWell).toSorted()).toEqual(WELL_CODES.toSorted());
    expect(documented((about) => !isWell(about)).toSorted()).toEqual(FAULT_CODES.toSorted());
  });

  it('is in docs/cli.md: how many faults are planted, and how many codes they have', () => {
    const [, plants, codes] = /plant (\d+) faults,\s+which have (\d+) codes/.exec(page) ?? [];
    expect([Number(plants), Number(codes)]).toEqual([FAULT_PLANTS.length, FAULT_CODES.length]);
  });
});
