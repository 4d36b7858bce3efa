import { ServiceUnavailableException } from '@nestjs/common';
import { countAsLeaderElectionError, LeaderElectionError } from '../core/errors.js';

/** The answer to a client, on every transport: it says nothing about the code or the pods behind it. */
const ANSWER = 'Only the leader answers this request.';

/** What a client gets as the body of the HTTP response. */
export interface NotLeaderResponse {
  readonly statusCode: 503;
  readonly error: string;
  readonly message: string;
  /** The role that the answering process does not lead. */
  readonly role: string;
}

/**
 * The call needs leadership, and this process is not leader. Code `ERR_NOT_LEADER`.
 *
 * An expected refusal wherever it is thrown: Nest answers an HTTP request with 503, and logs nothing. Neither the
 * message nor the response names the leader, as both may reach a client; `leader` does, for the application itself.
 */
export class NotLeaderError extends ServiceUnavailableException {
  /** Tells this error apart from others; the same in every version. */
  readonly code = 'ERR_NOT_LEADER';
  /** The role that this process does not lead. */
  readonly role: string;
  /** The leader as far as this process knows; undefined when none is known. Not enumerable. */
  declare readonly leader: string | undefined;
  /** What GraphQL servers publish beside the message. */
  readonly extensions: {
    /** `ERR_NOT_LEADER`. */
    readonly code: string;
    /** The role that this process does not lead. */
    readonly role: string;
  };

  constructor(role: string, leader?: string, what = 'This call') {
    super(ANSWER);
    this.role = role;
    this.extensions = { code: this.code, role };
    this.message = `${what} runs only on the leader of role "${role}", and this process is not leader.`;
    Object.defineProperty(this, 'leader', { value: leader, enumerable: false });
    // Where it is found, the Apollo driver of Nest puts a code of its own in place of that of the extensions. Nest itself
    // asks getResponse().
    Reflect.deleteProperty(this, 'response');
  }

  /** The body of the HTTP response. */
  override getResponse(): NotLeaderResponse {
    return { statusCode: 503, error: 'Service Unavailable', message: ANSWER, role: this.role };
  }

  /** What of it may be sent anywhere: name, code, message and role, and neither the stack nor the leader. */
  toJSON(): object {
    const { name, code, message, role } = this;
    return { name, code, message, role };
  }
}

// It is one of this library's errors, but its base must be Nest's own class, by which frameworks recognise refusals.
countAsLeaderElectionError(NotLeaderError.prototype);

/**
 * A `@LeaderOnly()` method was called on an object that has no LeadershipService; it did not run.
 * Code `ERR_LEADERSHIP_UNAVAILABLE`.
 */
export class LeadershipUnavailableError extends LeaderElectionError {
  readonly code = 'ERR_LEADERSHIP_UNAVAILABLE';

  constructor(method: string) {
    super(
      `${method} is @LeaderOnly() and was called on an object that has no LeadershipService, so it did not run. ` +
        `Let Nest make the instance (not "new"), call it as a method (not detached: pass () => service.method()), ` +
        `do not call instances from useFactory or useValue before onApplicationBootstrap, give a lazily loaded module the ` +
        `class instead of a factory, and import LeaderElectionModule.`,
    );
  }
}
