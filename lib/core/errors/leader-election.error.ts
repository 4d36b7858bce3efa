/** Base of every error this library creates. `code` is stable; the wording of messages is not. */
export abstract class LeaderElectionError extends Error {
  abstract readonly code: string;

  protected constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}
