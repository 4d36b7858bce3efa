import {
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  type Type,
} from '@nestjs/common';
import type { Transport } from './entry-point.js';
import { LeadershipUnavailableError, NotLeaderError } from './errors.js';
import {
  GUARD_SETTINGS,
  type GuardSettings,
  isOfEveryReplica,
  keyOf,
  settingsOf,
} from './guarded-handlers.js';
import { admit } from './guarded-term.js';
import { shadowOf } from './gated-work.js';
import { type Redirect, redirectionFor } from './guard-redirect.js';
import { getLeadershipToken } from './leader-election.tokens.js';
import { LeadershipService } from './leadership.service.js';
import { checkedRole, decorationFault } from './method-marks.js';
import { refusalFor } from './transport-refusals.js';

/** What a {@link LeaderGuard} asks for, and what a follower does instead. */
export interface LeaderGuardOptions {
  /**
   * The role that has to be led.
   * @default the only role of the application
   * @example
   * role: 'plan-scheduler'
   */
  readonly role?: string;
  /**
   * Answer HTTP requests with `307` and the leader's address, if the leader publishes one (option `address`), instead of
   * 503. A function decides by the address, which whoever may write the lease could have written; what it throws is
   * an error of the request.
   * @default false
   * @see docs/handlers.md#the-leaders-address
   * @example
   * redirect: (address) => address.hostname.startsWith('10.')
   */
  readonly redirect?: boolean | ((address: URL) => boolean);
  /**
   * What becomes of an event (`@EventPattern`) on a follower: a guard can only make it fail. A guard of an event handler must
   * say so, as brokers differ in whether they send it again.
   * @default none: a guard of an event handler stops the start
   * @example
   * onFollower: 'throw'
   */
  readonly onFollower?: 'throw';
}

/**
 * Lets HTTP, GraphQL, WebSocket and RPC handlers run only while this process leads the role, for those who like guards
 * better than `@LeaderOnly()`. A follower answers the same: HTTP 503 (or 307, if it is asked for), RpcException,
 * WsException, a GraphQL error. So does a leader whose term ends before the handler begins.
 *
 * `@UseGuards(LeaderGuard)` on a handler or class, and `{ provide: APP_GUARD, useClass: LeaderGuard }` for all of them, but for
 * those with `@EveryReplica()`. With several roles, or with options: `LeaderGuard.for(…)`.
 *
 * The handler is waited for before the lease is released, and runs in the term, as one with `@LeaderOnly()`. Nest runs no guard
 * for timers, events of the application, jobs of a queue and calls from code: an application that has the guard there
 * does not start.
 *
 * @example
 * @UseGuards(LeaderGuard)
 * @Post('plans/close')
 * close() {}
 */
@Injectable()
export class LeaderGuard implements CanActivate {
  /**
   * @param leadership Nest injects it. A guard that you make yourself (`useGlobalGuards(new LeaderGuard(…))`) only checks:
   *   handlers behind it are not waited for
   */
  constructor(@Inject(LeadershipService) private readonly leadership: LeadershipService) {}

  /**
   * A guard of one role, or with options. Each call makes another class: keep it in a constant to override it in a test.
   * @throws LeaderElectionOptionsError if they are none
   * @example
   * @UseGuards(LeaderGuard.for({ role: 'plan-scheduler', redirect: true }))
   * @Post('plans/close')
   * close() {}
   */
  static for(roleOrOptions: string | LeaderGuardOptions): Type<LeaderGuard> {
    const settings = checkedSettings(roleOrOptions);
    const { role } = settings;
    class RoleGuard extends LeaderGuard {}
    const name = role === undefined ? 'LeaderGuard' : `LeaderGuard for ${JSON.stringify(role)}`;
    Object.defineProperty(RoleGuard, 'name', { value: name });
    Object.defineProperty(RoleGuard, GUARD_SETTINGS, { value: settings });
    Inject(getLeadershipToken(role))(RoleGuard, undefined, 0);
    Injectable()(RoleGuard);
    return RoleGuard;
  }

  /**
   * Nest calls it.
   * @throws LeadershipUnavailableError if it was made without a service
   * @throws the refusal of the transport: NotLeaderError, RpcException, WsException or a redirection
   */
  canActivate(context: ExecutionContext): boolean {
    const { leadership } = this;
    const owner = context.getClass();
    const handler = context.getHandler();
    if (isOfEveryReplica(owner, handler)) return true;
    const name = `${owner.name}.${String(keyOf(owner.prototype as object, handler))}`;
    if (typeof leadership?.isLeader !== 'function') throw new LeadershipUnavailableError(name);
    const isLeader = leadership.isLeader() === true;
    const shadow = shadowOf(leadership);
    const refusal = (): Error => this.refusal(context, name);
    if (!isLeader && shadow === undefined) throw refusal();
    if (isLeader) admit(context, { leadership, name, refusal });
    else shadow?.count(name);
    return true;
  }

  private refusal(context: ExecutionContext, name: string): Error {
    const { role, leader, leaderAddress } = this.leadership;
    const { role: named, redirect } = settingsOf(this)!;
    const error = new NotLeaderError(role ?? named ?? '', leader, name);
    return (
      redirectionFor(context, leaderAddress, redirect, error) ??
      refusalFor(error, [context.getType<Transport>()])
    );
  }
}

Object.defineProperty(LeaderGuard, GUARD_SETTINGS, {
  value: { role: undefined, redirect: false, onFollower: undefined } satisfies GuardSettings,
});

const OPTION_NAMES = ['role', 'redirect', 'onFollower'];

function checkedSettings(roleOrOptions: unknown): GuardSettings {
  const place = 'LeaderGuard.for()';
  if (typeof roleOrOptions !== 'object' || roleOrOptions === null) {
    return { role: checkedRole(place, roleOrOptions), redirect: false, onFollower: undefined };
  }
  const { role, redirect = false, onFollower } = roleOrOptions as Record<string, unknown>;
  const stray = Object.keys(roleOrOptions).find((name) => !OPTION_NAMES.includes(name));
  if (stray !== undefined) {
    const value = (roleOrOptions as Record<string, unknown>)[stray];
    const rule = `is not an option of ${place}`;
    throw decorationFault(`${place} ${stray}`, value, rule, `use ${OPTION_NAMES.join(', ')}`);
  }
  if (typeof redirect !== 'boolean' && typeof redirect !== 'function') {
    const rule = 'must be a boolean or a function of the address';
    throw decorationFault(`${place} redirect`, redirect, rule, 'use true');
  }
  if (onFollower !== undefined && onFollower !== 'throw') {
    const rule = 'must be "throw": a guard can only let a call through or make it fail';
    throw decorationFault(`${place} onFollower`, onFollower, rule, 'use "throw", or @LeaderOnly()');
  }
  return { role: checkedRole(place, role), redirect: redirect as Redirect, onFollower };
}
