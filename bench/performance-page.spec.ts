import { describe, expect, it } from '@jest/globals';
import { figure } from './figure.js';
import type { Target } from './measure.js';
import { performancePage, type Report, sections } from './performance-page.js';

const TARGET: Target = { what: 'handover', unit: 'ms', atMost: 10, measured: 10 };

function report(targets: readonly Target[] = [TARGET]): Report {
  return {
    machine: {
      date: '2026-01-02',
      processor: 'Some Processor',
      cores: 2,
      memoryGiB: 8,
      system: 'linux x64',
      load: 0.2,
      versions: { 'Node.js': '20.1.0' },
    },
    minutes: 30,
    parts: [
      {
        key: 'one',
        title: 'One thing',
        tables: [
          {
            title: 'A table',
            text: 'How long it takes.',
            columns: ['who', 'how long', 'and'],
            rows: [
              ['ours', figure([1.234, 2, 3], 'ms'), undefined],
              ['once', figure([1234.5], 'bytes'), 'never'],
            ],
          },
        ],
        targets,
        notMeasured: ['Nothing else was.'],
      },
    ],
  };
}

describe('when figures become a page', () => {
  it.each([
    ['a median with its quartiles and how often', '| ours | 2 ms (1.62 to 2.5, n = 3) | –     |'],
    ['one value without a spread', '| once | 1,235 bytes               | never |'],
  ])('tells %s', async (_what, row) => {
    expect(await sections(report())).toContain(row);
  });

  it('tells the slowest of a hundred once there are enough to know it', async () => {
    const [part] = report().parts;
    const rows = [
      [
        'ours',
        figure(
          Array.from({ length: 51 }, (_, index) => index),
          'ms',
        ),
      ],
    ];
    const table = { ...part!.tables[0]!, rows };
    const told = await sections({ ...report(), parts: [{ ...part!, tables: [table] }] });
    expect(told).toContain('25 ms (12.5 to 37.5, p99 49.5, n = 51)');
  });

  it.each([
    ['met at its very bound', 10, 'yes'],
    ['missed above it', 10.01, '**no**'],
    ['missed by what is no number', NaN, '**no**'],
  ])('says of a target that it is %s', async (_what, measured, told) => {
    const lines = (await sections(report([{ ...TARGET, measured }]))).split('\n');
    expect(lines.find((line) => line.startsWith('| handover'))).toContain(` ${told} `);
  });

  it('names the machine, the versions, the command and what was not measured', async () => {
    const page = await performancePage(report());
    for (const part of [
      'Some Processor',
      '2 cores',
      'a load average of 0.2 before it began',
      'Node.js 20.1.0',
      '`npm run bench`',
      '- Nothing else was.',
    ]) {
      expect(page).toContain(part);
    }
  });
});

describe('when a quantity was measured several times', () => {
  it.each([
    [[7], { median: 7, low: 7, high: 7, p99: 7 }],
    [[4, 1, 3, 2], { median: 2.5, low: 1.75, high: 3.25, least: 1, most: 4 }],
  ])('%j has its median, its quartiles and its ends', (values, expected) => {
    expect(figure(values, 'ms')).toMatchObject(expected);
  });

  it('is an error if it was not measured at all', () => {
    expect(() => figure([], 'ms')).toThrow('at least one value');
  });
});
