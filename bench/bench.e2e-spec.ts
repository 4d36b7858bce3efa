import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { FIRST_START_LIMIT_MS } from '../proof/control-plane/control-plane.js';
import type { Cell } from './measure.js';
import type { Report } from './performance-page.js';

let report: Report;

describe('when all benchmarks run as quickly as they can', () => {
  beforeAll(async () => {
    const args = ['.tools/bench/bench.js', '--quick', '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 26 });
    report = JSON.parse(stdout) as Report;
  }, FIRST_START_LIMIT_MS);

  it('each part has measured something', () => {
    const measured = report.parts.filter(({ tables }) =>
      tables.some(({ rows }) => rows.flat().some(isMeasured)),
    );
    expect(measured.map(({ key }) => key)).toEqual(KEYS);
  });

  it('each row of a table has a cell for each column', () => {
    const tables = report.parts.flatMap(({ tables: each }) => each);
    const uneven = tables.filter(({ columns, rows }) =>
      rows.some((row) => row.length !== columns.length),
    );
    expect(uneven.map(({ title }) => title)).toEqual([]);
  });

  it('each target is compared with a number', () => {
    const targets = report.parts.flatMap(({ targets: each }) => each);
    expect(targets.filter(({ measured }) => !Number.isFinite(measured))).toEqual([]);
    expect(targets.length).toBeGreaterThan(0);
  });
});

const KEYS = [
  'handover',
  'handover-trace',
  'failover',
  'api-cost',
  'process',
  'gate',
  'claims',
  'memory',
];

function isMeasured(cell: Cell | null): boolean {
  if (typeof cell === 'number') return Number.isFinite(cell);
  return typeof cell === 'object' && cell !== null && Number.isFinite(cell.median);
}
