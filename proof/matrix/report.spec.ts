import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { product } from './combinations.js';
import { PARTS } from './parts.js';
import { type Result, tableOf } from './report.js';

const page = readFileSync('docs/results/compatibility.md', 'utf8');

/** The cells of the table below this heading, each with what it stands for. */
function recordedIn(title: string): { combination: Record<string, string>; cell: string }[] {
  const [, section = ''] = page.split(`\n## ${title}\n`);
  const lines = section.split('\n## ')[0]!.split('\n');
  const table = lines.filter((line) => line.startsWith('|')).map((line) => line.split('|'));
  const [head = [], , ...rows] = table.map((cells) =>
    cells.slice(1, -1).map((cell) => cell.trim()),
  );
  const across = head.at(-1)!.split(' ')[0]!;
  const isOfColumn = (name: string) => name.startsWith(`${across} `);
  return rows.flatMap((row) => {
    const names = head.filter((name) => !isOfColumn(name));
    const common = names.map((name) => [name, row[head.indexOf(name)]!]);
    return head.filter(isOfColumn).map((name) => ({
      combination: Object.fromEntries([...common, [across, name.slice(across.length + 1)]]),
      cell: row[head.indexOf(name)]!,
    }));
  });
}

describe('when the page says what works together', () => {
  it.each(PARTS.map((part) => [part.title, part] as const))(
    'has every combination that npm run test:matrix tries: %s',
    (title, { axes, impossible }) => {
      const recorded = recordedIn(title);
      expect(recorded.map(({ combination }) => combination)).toEqual(product(axes));
      const told = recorded.filter(({ cell }) => !/^\d+\.\d s$/.test(cell));
      const isTold = ({ cell }: { cell: string }) => /^no \(\d\)$/.test(cell);
      expect(told.filter((each) => !isTold(each))).toEqual([]);
      expect(told.length > 0).toBe(impossible.length > 0);
    },
  );
});

describe('when a table is written', () => {
  const [part] = PARTS;
  const [first, second, third] = product(part!.axes);
  const works = { verdict: 'works', said: '', seconds: 1.25 } as const;
  const results: Result[] = [
    { combination: first!, ...works },
    { combination: second!, verdict: 'not possible', said: 'it is not', seconds: 1 },
    { combination: third!, verdict: 'fails', said: 'lost', seconds: 1 },
  ];

  it('has a row for what differs in all but the last choice, and a reason for what is not possible', () => {
    expect(tableOf(part!, results).split('\n').slice(2)).toEqual([
      '| 11 | Express | ESM | 5.9 | 1.3 s | no (1) | **fails** |',
      '',
      '(1) Not possible: it is not.',
    ]);
  });
});
