import { Injectable } from '@nestjs/common';

/**
 * Whether the application has been initialised. Until then decorated handlers wait, whatever the election does, as a
 * handler may use anything that another hook prepares.
 */
@Injectable()
export class ApplicationReadiness {
  private reached = false;
  private announce!: () => void;
  private readonly announced = new Promise<void>((resolve) => {
    this.announce = resolve;
  });

  get isReached(): boolean {
    return this.reached;
  }

  reach(): void {
    this.reached = true;
    this.announce();
  }

  /** Resolves once it is reached. */
  whenReached(): Promise<void> {
    return this.announced;
  }

  /** Resolves once it is reached or the signal is aborted, whichever is first. */
  whenReachedOr(signal: AbortSignal): Promise<void> {
    if (this.reached || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      void this.announced.then(resolve);
    });
  }
}
