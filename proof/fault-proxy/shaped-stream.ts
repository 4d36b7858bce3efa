import type { Socket } from 'node:net';
import { sendReset } from './send-reset.js';
import type { StreamCondition } from './stream-condition.js';

/** What one end of a connection did, in order. */
type Passage =
  | { readonly kind: 'bytes'; readonly bytes: Buffer; readonly dueAt: number }
  | { readonly kind: 'end' | 'reset' | 'lost-reset'; readonly dueAt: number };

/** Long enough for a server to finish what it was asked by a client that is gone. */
const LINGER_MS = 2_000;

/** One direction of one connection. Keeps the order of what it delivers under every change of condition. */
export class ShapedStream {
  private readonly waiting: Passage[] = [];
  private timer: NodeJS.Timeout | undefined;
  private lostBytes = false;
  private hasPassedBytes = false;
  private busyUntil = 0;

  constructor(
    private readonly sink: Socket,
    private condition: StreamCondition,
  ) {
    sink.once('close', () => this.close());
  }

  /** Bytes wait on a stream that has passed others before. */
  get isHeldUp(): boolean {
    return this.hasPassedBytes && this.waiting.some(({ kind }) => kind === 'bytes');
  }

  bytes(bytes: Buffer): void {
    this.add({ kind: 'bytes', bytes, dueAt: this.dueAt(bytes.length) });
  }

  end(): void {
    this.add({ kind: 'end', dueAt: this.dueAt(0) });
  }

  /** One that meets a blackhole is lost, as no kernel sends a reset twice: what was written before it is obeyed. */
  reset(): void {
    const kind = this.condition.kind === 'blackhole' ? 'lost-reset' : 'reset';
    this.add({ kind, dueAt: this.dueAt(0) });
  }

  shape(condition: StreamCondition): void {
    this.condition = condition;
    if (this.discards) this.lose();
    this.deliver();
  }

  close(): void {
    clearTimeout(this.timer);
    this.waiting.length = 0;
  }

  private get discards(): boolean {
    return this.condition.kind === 'blackhole' && this.condition.bytes === 'discard';
  }

  private add(passage: Passage): void {
    if (this.discards && passage.kind === 'bytes') this.lostBytes = true;
    if (this.lostBytes) return;
    this.waiting.push(passage);
    this.deliver();
  }

  private lose(): void {
    this.lostBytes ||= this.waiting.some(({ kind }) => kind === 'bytes');
    if (this.lostBytes) this.waiting.length = 0;
  }

  private dueAt(length: number): number {
    const now = performance.now();
    if (this.condition.kind === 'delay') return now + this.condition.ms;
    if (this.condition.kind !== 'throttle') return now;
    const { bytesPerSecond } = this.condition;
    this.busyUntil = Math.max(now, this.busyUntil) + (length * 1_000) / bytesPerSecond;
    return this.busyUntil;
  }

  private deliver(): void {
    clearTimeout(this.timer);
    if (this.condition.kind === 'blackhole') return;
    const passes = this.condition.kind === 'pass';
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      const remaining = next.dueAt - performance.now();
      if (!passes && remaining > 0) {
        this.timer = setTimeout(() => this.deliver(), Math.ceil(remaining));
        return;
      }
      this.waiting.shift();
      this.perform(next);
    }
  }

  private perform(passage: Passage): void {
    if (this.sink.destroyed) return;
    switch (passage.kind) {
      case 'bytes':
        this.hasPassedBytes = true;
        this.sink.write(passage.bytes);
        return;
      case 'end':
        this.sink.end();
        return;
      case 'reset':
        sendReset(this.sink);
        return;
      case 'lost-reset':
        setTimeout(() => sendReset(this.sink), LINGER_MS).unref();
        return;
      default:
        passage satisfies never;
    }
  }
}
