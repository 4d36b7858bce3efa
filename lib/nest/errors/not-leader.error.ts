import { ServiceUnavailableException } from '@nestjs/common';
import { countAsLeaderElectionError } from '../../core/errors.js';

/** What a client is told, on every transport: nothing of the code or the pods behind it. */
const ANSWER = 'Only the leader answers this request.';

/** The body of the HTTP response. */
export interface NotLeaderResponse {
  readonly statusCode: 503;
  readonly error: string;
  readonly message: string;
  readonly role: string;
}

/**
 * The caller needs leadership and this process does not have it. Code `ERR_NOT_LEADER`.
 *
 * An expected refusal wherever it is thrown: Nest answers an HTTP request with 503 and logs nothing. Neither the message
 * nor the response names the leader, as both may reach a client; `leader` does, for the application itself.
 */
export class NotLeaderError extends ServiceUnavailableException {
  readonly code = 'ERR_NOT_LEADER';
  readonly role: string;
  /** The leader as far as this process knows; undefined when none is known. Not enumerable. */
  declare readonly leader: string | undefined;
  /** What GraphQL servers publish beside the message. */
  readonly extensions: { readonly code: string; readonly role: string };

  constructor(role: string, leader?: string, what = 'This call') {
    super(ANSWER);
    this.role = role;
    this.extensions = { code: this.code, role };
    this.message = `${what} runs only on the leader of role "${role}", and this process does not lead.`;
    Object.defineProperty(this, 'leader', { value: leader, enumerable: false });
  }

  override getResponse(): NotLeaderResponse {
    return { statusCode: 503, error: 'Service Unavailable', message: ANSWER, role: this.role };
  }

  toJSON(): object {
    const { name, code, message, role } = this;
    return { name, code, message, role };
  }
}

// It is one of this library's errors, though Nest's own class has to be its base: frameworks tell refusals by that.
countAsLeaderElectionError(NotLeaderError.prototype);
