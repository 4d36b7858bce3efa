const MARK = Symbol.for('nestjs-leader-election:error');

/** Base of every error this library creates. `code` is stable; the wording of messages is not. */
export abstract class LeaderElectionError extends Error {
  abstract readonly code: string;

  protected constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }

  /** True for errors of this library that have to extend a class of a framework, too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
    return (
      this === LeaderElectionError && typeof value === 'object' && value !== null && MARK in value
    );
  }

  /** What of it may be sent anywhere: the fields, the message, and no stack and cause. */
  toJSON(): object {
    return Object.assign({}, this, { message: this.message });
  }
}

/** Makes the instances of a class that extends another base errors of this library. */
export function countAsLeaderElectionError(prototype: object): void {
  Object.defineProperty(prototype, MARK, { value: true });
}
