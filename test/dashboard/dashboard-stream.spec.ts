import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { DashboardStream } from '../../lib/dashboard/dashboard-stream.js';
import { ManualClock } from '../support/manual-clock.js';

/** A connection whose other end reads when the test says so, and which ends only then. */
class SlowResponse extends EventEmitter {
  readonly written: string[] = [];
  isReading = false;
  isDestroyed = false;

  write(text: string): boolean {
    this.written.push(text);
    return this.isReading;
  }

  end(): void {
    if (this.isReading) this.emit('finish');
  }

  destroy(): void {
    this.isDestroyed = true;
    this.emit('close');
  }

  read(): void {
    this.isReading = true;
    this.emit('drain');
  }
}

describe('the stream of one viewer', () => {
  let response: SlowResponse;
  let clock: ManualClock;
  let left: number;
  let stream: DashboardStream;
  beforeEach(() => {
    response = new SlowResponse();
    clock = new ManualClock();
    left = 0;
    stream = new DashboardStream(response as unknown as ServerResponse, clock, () => (left += 1));
  });

  describe('when its viewer does not read', () => {
    it('keeps the newest version of each part, and no heartbeat', () => {
      for (let version = 1; version <= 1_000; version += 1) {
        stream.send('part', `"one ${version}"`, 'one');
        stream.send('part', `"other ${version}"`, 'other');
        stream.heartbeat();
      }
      expect(response.written).toEqual(['retry: 2000\n\n']);
      response.read();
      expect(response.written.slice(1)).toEqual([
        'event: part\ndata: "one 1000"\n\n',
        'event: part\ndata: "other 1000"\n\n',
      ]);
    });

    it('is cut off at the end, as the server would wait for it', async () => {
      let isEnded = false;
      void stream.end().then(() => (isEnded = true));
      await clock.advance(499);
      expect(isEnded).toBe(false);
      await clock.advance(1);
      expect([isEnded, response.isDestroyed, left]).toEqual([true, true, 1]);
    });
  });

  describe('when its viewer has left', () => {
    it('writes nothing more, and says so once', async () => {
      response.read();
      response.emit('error', new Error('reset'));
      response.emit('close');
      stream.send('part', '{}', 'one');
      stream.heartbeat();
      await stream.end();
      expect([response.written.length, left, clock.pendingTimers]).toEqual([1, 1, 0]);
    });
  });
});
