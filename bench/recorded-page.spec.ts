import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import type { Figure } from './figure.js';
import type { Cell } from './measure.js';
import { performanceFigures, performancePage, type Report } from './performance-page.js';

const README = readFileSync('README.md', 'utf8');
const FIGURES = readFileSync('docs/results/performance.json', 'utf8');
const REPORT = recorded();

/** JSON has null for a cell that cannot be measured. */
function recorded(): Report {
  const report = JSON.parse(FIGURES) as Report;
  const parts = report.parts.map((part) => ({
    ...part,
    tables: part.tables.map((table) => ({
      ...table,
      rows: table.rows.map((row) => row.map((cell: Cell | null): Cell => cell ?? undefined)),
    })),
  }));
  return { ...report, parts };
}

/** The figure of this library in a table. */
function ours(title: string, column: number, name = 'this library'): Figure {
  const table = REPORT.parts.flatMap(({ tables }) => tables).find((each) => each.title === title)!;
  return table.rows.find(([first]) => first === name)![column] as Figure;
}

function target(what: string): number {
  return REPORT.parts.flatMap(({ targets }) => targets).find((each) => each.what === what)!
    .measured;
}

describe('when the page of the last whole run is read', () => {
  it('has what the command writes of these figures, and nothing else', async () => {
    expect(readFileSync('docs/performance.md', 'utf8')).toBe(await performancePage(REPORT));
    expect(await performanceFigures(REPORT)).toBe(FIGURES);
  });

  it.each([
    [
      'a handover',
      `SIGTERM | ${Math.round(ours('From SIGTERM to the next leader', 1).median)} ms at the median`,
    ],
    [
      'a crash',
      `and ${Math.round(target('takeover after a crash beyond the lease, the slowest of 10, 15/10/2 s'))} ms more at most`,
    ],
    [
      'a start',
      `${Math.round(target('start-up in a cluster, over NestJS alone'))} ms of its start`,
    ],
    [
      'memory',
      `${target('resident memory in a cluster, over NestJS alone').toFixed(1)} MiB of memory`,
    ],
    [
      'a check',
      `\`isLeader()\` | ${Math.round(ours('A check and a gated call', 2, '`isLeader()` on the leader').median)} ns`,
    ],
  ])('agrees with README about %s', (_what, text) => {
    expect(README.replaceAll(/ +\| +/g, ' | ')).toContain(text);
  });
});
