import { readFileSync, writeFileSync } from 'node:fs';
import type { Combination, Verdict } from './combinations.js';
import type { Part } from './parts.js';

export interface Result {
  readonly combination: Combination;
  readonly verdict: Verdict;
  /** Why it is not possible, or what failed. */
  readonly said: string;
  readonly seconds: number;
}

const PAGE = 'docs/results/compatibility.md';
const BEGIN = '<!-- written by npm run test:matrix -- --record -->';
const END = '<!-- the rest is written by hand -->';

/** A table with the last axis as its columns, and below it why some combinations are not possible. */
export function tableOf({ axes }: Part, results: readonly Result[]): string {
  const names = Object.keys(axes);
  const across = names.at(-1)!;
  const down = names.slice(0, -1);
  const columns = axes[across]!.filter((value) =>
    results.some(({ combination }) => combination[across] === value),
  );
  const reasons = [...new Set(results.filter(isImpossible).map(({ said }) => said))];
  const rows = new Map<string, Result[]>();
  for (const result of results) {
    const row = down.map((axis) => result.combination[axis]).join(' | ');
    rows.set(row, [...(rows.get(row) ?? []), result]);
  }
  const cells = (row: readonly Result[]) =>
    columns.map((value) => {
      const result = row.find(({ combination }) => combination[across] === value);
      if (result === undefined) return '';
      const { verdict, said, seconds } = result;
      if (verdict === 'works') return `${seconds.toFixed(1)} s`;
      return verdict === 'fails' ? '**fails**' : `no (${reasons.indexOf(said) + 1})`;
    });
  const line = (values: readonly string[]) => `| ${values.join(' | ')} |`;
  return [
    line([...down, ...columns.map((value) => `${across} ${value}`)]),
    line([...down, ...columns].map(() => '---')),
    ...[...rows].map(([row, of]) => line([row, ...cells(of)])),
    ...reasons.flatMap((reason, at) => ['', `(${at + 1}) Not possible: ${reason}.`]),
  ].join('\n');
}

function isImpossible({ verdict }: Result): boolean {
  return verdict === 'not possible';
}

/** Writes the tables into the page, in the place of the last ones. */
export function record(text: string): void {
  const page = readFileSync(PAGE, 'utf8');
  const [head, tail] = [page.split(BEGIN)[0]!, page.split(END)[1]!];
  writeFileSync(PAGE, `${head}${BEGIN}\n\n${text}\n\n${END}${tail}`);
}
