import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TickHistoryFile } from './tick-history-file.js';

describe('the history of a replica', () => {
  let directory: string;
  let path: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tick-history-'));
    path = join(directory, 'replica.jsonl');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  function tell(event: string, more: object = {}): void {
    appendFileSync(path, `${JSON.stringify({ event, name: 'r', ...more })}\n`);
  }

  it('when the replica has not written yet, is empty', () => {
    const history = new TickHistoryFile(path).look();
    expect(history.events).toEqual([]);
    expect(history).toMatchObject({ isReady: false, leads: false });
  });

  it('when it grows between two looks, has each event once', () => {
    const history = new TickHistoryFile(path);
    tell('ready');
    tell('granted');
    expect(history.look()).toMatchObject({ isReady: true, leads: true });
    tell('started', { tick: 7, lateMs: 1, caughtUp: false });
    tell('revoked');
    expect(history.look()).toMatchObject({ leads: false, latestTick: 7 });
    expect(history.events.map(({ event }) => event)).toEqual([
      'ready',
      'granted',
      'started',
      'revoked',
    ]);
  });

  it('when work that runs once begins and ends, and orders are answered, knows both', () => {
    const history = new TickHistoryFile(path);
    tell('once-started', { key: 'fail', version: 1 });
    tell('done', { id: 3 });
    tell('failed', { id: 4 });
    expect(history.look()).toMatchObject({ openOnce: 1 });
    expect([...history.answers]).toEqual([
      [3, true],
      [4, false],
    ]);
    tell('once-ended', { key: 'fail', version: 1 });
    expect(history.look().openOnce).toBe(0);
  });

  it('when a line is half written, waits for its end', () => {
    const history = new TickHistoryFile(path);
    appendFileSync(path, '{"event":"gran');
    expect(history.look().events).toEqual([]);
    appendFileSync(path, 'ted","name":"r"}\n');
    expect(history.look().leads).toBe(true);
  });

  it('when there is more than one read takes, reads all of it', () => {
    const history = new TickHistoryFile(path);
    const lines = Array.from({ length: 5_000 }, (_, tick) =>
      JSON.stringify({ event: 'started', name: 'r', tick, lateMs: 1, caughtUp: false }),
    );
    appendFileSync(path, `${lines.join('\n')}\n`);
    expect(history.look().events).toHaveLength(5_000);
    expect(history.latestTick).toBe(4_999);
  });
});
