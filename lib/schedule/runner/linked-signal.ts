/**
 * A signal that is aborted with the first of several, until it is unlinked. Unlike `AbortSignal.any` it leaves nothing
 * behind on a signal that lives long (nodejs/node#54614).
 */
export class LinkedSignal {
  private readonly controller = new AbortController();
  private readonly unlinking: (() => void)[] = [];

  constructor(sources: readonly AbortSignal[]) {
    for (const source of sources) {
      if (source.aborted) this.abort(source.reason);
      else this.follow(source);
    }
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  abort(reason: unknown): void {
    this.controller.abort(reason);
  }

  unlink(): void {
    for (const unlink of this.unlinking.splice(0)) unlink();
  }

  private follow(source: AbortSignal): void {
    const onAbort = () => this.abort(source.reason);
    source.addEventListener('abort', onAbort, { once: true });
    this.unlinking.push(() => source.removeEventListener('abort', onAbort));
  }
}
