import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { patientStream } from '../../lib/cli/patient-stream.js';

let folder: string;
let descriptor: number;
/** The other end, which never waits. */
let reader: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'patient-stream-'));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  descriptor = openSync(pipe, 'r+');
  reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
});
afterEach(() => {
  for (const each of [descriptor, reader]) closeSync(each);
  rmSync(folder, { recursive: true });
});

/** Writes until nothing more fits. */
function fill(): void {
  for (const size of [4_096, 1]) {
    try {
      for (;;) writeSync(reader, Buffer.alloc(size, '.'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** What is in the pipe now, without what has filled it. */
function read(): string {
  const taken = Buffer.alloc(1_048_576);
  try {
    const length = readSync(reader, taken);
    return taken.toString('utf8', 0, length).replaceAll('.', '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
    throw error;
  }
}

describe('when the pipe of a patient stream is full', () => {
  it('gives up at its end after no line was taken for so long, and writes nothing later', async () => {
    fill();
    const stream = patientStream(descriptor);
    stream.write('lost\n');
    stream.write('lost, too\n');
    expect(await stream.end(50)).toBe(true);
    expect(read()).toBe('');
    await pause(100);
    expect(read()).toBe('');
  });

  it('writes every line if a reader comes back in time', async () => {
    fill();
    const stream = patientStream(descriptor);
    const lines = Array.from({ length: 50 }, (_, index) => `line ${index}\n`);
    for (const line of lines) stream.write(line);
    const ending = stream.end(60_000);
    await pause(50);
    let text = read();
    while (!text.endsWith('line 49\n')) {
      await pause(5);
      text += read();
    }
    expect(text).toBe(lines.join(''));
    expect(await ending).toBe(true);
  });

  it('keeps the newest lines', async () => {
    fill();
    const stream = patientStream(descriptor);
    for (let index = 0; index < 1_000; index++) stream.write(`line ${index}\n`);
    const ending = stream.end(60_000);
    let text = read();
    while (!text.endsWith('line 999\n')) {
      await pause(5);
      text += read();
    }
    await ending;
    expect(text).toContain('line 800\n');
    expect(text).not.toContain('line 700\n');
  });
});

describe('when a patient stream shares its descriptor with a program', () => {
  it('leaves it as it is: writes of the program wait for the reader', async () => {
    const stream = patientStream(descriptor);
    stream.write('line\n');
    expect(await stream.end(60_000)).toBe(true);
    const [, flags] = /flags:\s+(\d+)/.exec(
      readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'),
    )!;
    expect(Number.parseInt(flags!, 8) & constants.O_NONBLOCK).toBe(0);
    expect(read()).toBe('line\n');
  });

  it('writes into a file where the program has stopped writing', async () => {
    const file = join(folder, 'file');
    const shared = openSync(file, 'w');
    writeSync(shared, 'first\n');
    const stream = patientStream(shared);
    stream.write('second\n');
    expect(await stream.end(60_000)).toBe(true);
    writeSync(shared, 'third\n');
    closeSync(shared);
    expect(readFileSync(file, 'utf8')).toBe('first\nsecond\nthird\n');
  });
});
