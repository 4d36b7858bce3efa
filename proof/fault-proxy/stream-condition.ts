/** What happens to the bytes of one direction. */
export type StreamCondition =
  | { readonly kind: 'pass' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  /**
   * A blackhole. `keep`: what is written meanwhile arrives after the heal, also from a client that has long given up;
   * `discard`: it never arrives, and neither does anything later on a connection that lost bytes.
   */
  | { readonly kind: 'blackhole'; readonly bytes: 'keep' | 'discard' };

export type Direction = 'to-server' | 'to-client';

export const PASS: StreamCondition = { kind: 'pass' };
