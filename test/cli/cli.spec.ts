import { describe, expect, it } from '@jest/globals';
import { type Command, CommandError, UsageError } from '../../lib/cli/command.js';
import { FleetError } from '../../lib/fleet/fleet-error.js';
import { COMMANDS } from '../../lib/cli/commands.js';
import { runCli } from '../../lib/cli/cli.js';
import { duration, table, WIDTH } from '../../lib/cli/output.js';

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function cli(
  args: readonly string[],
  commands: readonly Command[] = COMMANDS,
): Promise<Ended> {
  let [out, err] = ['', ''];
  const stdout = { write: (text: string) => void (out += text) };
  const stderr = { write: (text: string) => void (err += text) };
  const code = await runCli(args, { env: {}, stdout, stderr }, commands);
  return { code, out, err };
}

function command(run: Command['run']): Command {
  return { name: 'do', summary: 'Does it.', usage: '', options: {}, run };
}

describe('when a command line is wrong', () => {
  it('shows the commands and ends with 2 without one', async () => {
    const { code, out } = await cli([]);
    expect(code).toBe(2);
    for (const { name, summary } of COMMANDS)
      expect(out).toContain(`${name.padEnd(9)}  ${summary}`);
  });

  it.each<[string, string[], string]>([
    ['an unknown command', ['tirgger'], 'there is no command tirgger'],
    ['an unknown option', ['jobs', '--leese', 'x'], "Unknown option '--leese'"],
    ['no lease', ['jobs'], 'name the lease with --lease, or its --role'],
    ['another lock', ['jobs', '--lease', 'x', '--lock', 'redis'], '--lock redis: must be lease,'],
    ['no job', ['trigger', '--lease', 'x'], 'name the job'],
    ['two jobs', ['suspend', 'a', 'b', '--lease', 'x'], 'b: there is one argument, the job'],
    [
      'a reason of two lines',
      ['suspend', 'a', '--lease', 'x', '--reason', 'a\nb'],
      '--reason: must',
    ],
    [
      'no number',
      ['cancel', 'a', '--lease', 'x', '--wait-ms', '1s'],
      '--wait-ms 1s: must be a whole',
    ],
    ['no program', ['run', '--lease', 'x'], 'name the program behind --'],
    [
      'another restart',
      ['run', '--lease', 'x', '--restart', 'on', '--', 'a'],
      '--restart on: must be',
    ],
    [
      'options of the election that do not fit together',
      ['run', '--lease', 'x', '--lock', 'file', '--lease-duration-ms', '1', '--', 'true'],
      'leaseDurationMs = 1',
    ],
    [
      'a directory that is not absolute',
      ['jobs', '--lease', 'x', '--lock', 'file', '--directory', 'd'],
      'fileLock.directory = "d"',
    ],
  ])('says so for %s, and ends with 2', async (_, args, what) => {
    const { code, err } = await cli(args);
    expect(err).toContain(what);
    expect(code).toBe(2);
  });
});

describe('when help is asked for', () => {
  it.each(COMMANDS.map(({ name }) => name))('shows it of %s in lines that fit', async (name) => {
    const { code, out } = await cli([name, '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`Usage: nestjs-leader-election ${name} `);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(WIDTH);
  });
});

describe('when a command ends', () => {
  it('has the exit code that it says', async () => {
    const { code } = await cli(['do'], [command(() => Promise.resolve(75))]);
    expect(code).toBe(75);
  });

  it.each([
    ['a wrong call', new UsageError('no'), 2],
    ['a refusal', new CommandError('no'), 1],
    ['no answer', new CommandError('no', 75), 75],
    ['a refusal of the fleet', new FleetError('no'), 1],
    ['no answer of the fleet', new FleetError('no', true), 75],
  ])('says why on stderr, and as JSON if asked for: %s', async (_, error, code) => {
    const failing = [command(() => Promise.reject(error))];
    const ended = await cli(['do', '--json'], failing);
    expect(ended.code).toBe(code);
    expect(ended.err).toContain('do: no');
    expect(JSON.parse(ended.out)).toEqual({ ok: false, error: 'no' });
    expect((await cli(['do'], failing)).out).toBe('');
  });

  it('is given what stands behind -- as it is', async () => {
    let program: readonly string[] | undefined;
    const keeping = command((call) => {
      program = call.program;
      return Promise.resolve(0);
    });
    await cli(['do', '--', 'sh', '--json', '--'], [keeping]);
    expect(program).toEqual(['sh', '--json', '--']);
  });
});

describe('when a table is wider than a terminal', () => {
  it('cuts its widest columns until it fits', () => {
    const lines = table([
      ['NAME', 'REASON'],
      ['x'.repeat(40), 'y'.repeat(120)],
    ]).split('\n');
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(WIDTH);
    expect(lines[1]).toMatch(/^x{40} {2}y{57}…$/);
  });
});

describe('when a time is shown', () => {
  it.each([
    [3_240, '3.2 s'],
    [59_700, '60 s'],
    [180_000, '3 min'],
    [7_200_000, '2 h'],
    [432_000_000, '5 d'],
  ])('shows %d ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});
