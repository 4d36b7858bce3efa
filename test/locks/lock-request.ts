import type { LockRequestOptions } from '../../lib/core/resource-lock.js';

/** By default with more time than any store needs on a busy machine. */
export function request(timeoutMs = 30_000): LockRequestOptions {
  return { timeoutMs, signal: new AbortController().signal };
}
