class LightSignal {
  aborted = false;
  reason: unknown;

  setMaxListeners(): void {}
}

/**
 * The parts of `AbortController` that the elector uses. The platform's own takes a tenth of all time of a schedule;
 * a run checks on some schedules that the traces are the same with it.
 */
class LightAbortController {
  readonly signal = new LightSignal();

  abort(reason?: unknown): void {
    if (this.signal.aborted) return;
    this.signal.aborted = true;
    this.signal.reason = reason;
  }
}

export async function withLightAborts<T>(work: () => Promise<T>): Promise<T> {
  const original = globalThis.AbortController;
  globalThis.AbortController = LightAbortController as unknown as typeof AbortController;
  try {
    return await work();
  } finally {
    globalThis.AbortController = original;
  }
}
