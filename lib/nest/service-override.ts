import type { Observable } from 'rxjs';
import { LeaderElectionOptionsError, type OptionFault } from '../core/errors.js';
import type { Term } from '../core/term.js';
import { isTerm } from '../election/gated-work.js';
import type { Revocation } from './leadership-streams.js';

const USE_A_WHOLE_ONE =
  "give leadershipStandIn({ isLeader: true }) of 'nestjs-leader-election/testing', or let a TestElection control the module instead";

/** What a test has put in place of a service: a whole one, or a stub that has at least what gates ask. */
export interface ServiceOverride {
  isLeader(): boolean;
  readonly term?: Term | undefined;
  readonly leader?: string | undefined;
  readonly granted$?: Observable<Term>;
  readonly revoked$?: Observable<Revocation>;
  readonly leader$?: Observable<string | undefined>;
  stepDown?(options: { readonly cooldownMs?: number }): boolean;
}

/** Why what a test has put in place of a service cannot replace it; undefined if it can. */
export function overrideFault(role: string, service: unknown): OptionFault | undefined {
  const field = `override of LeadershipService for role ${JSON.stringify(role)}`;
  if (typeof service !== 'object' || service === null) {
    const rule = 'must be an object with isLeader(), as gates ask it';
    return { field, value: service, rule, fix: USE_A_WHOLE_ONE };
  }
  if ('isLeader' in service && typeof service.isLeader === 'function') return undefined;
  const rule = 'has no method isLeader(), which gates ask';
  return { field, value: service, rule, fix: `add it, or ${USE_A_WHOLE_ONE}` };
}

/** @throws LeaderElectionOptionsError if it is not a term, as a stub may emit anything */
export function termOfStub(value: unknown): Term {
  if (isTerm(value)) return value;
  throw emissionFault('granted$', value, 'must emit terms', 'testTerm()');
}

/** @throws LeaderElectionOptionsError if it is none */
export function revocationOfStub(value: unknown): Revocation {
  if (typeof value === 'object' && value !== null && 'term' in value) return value as Revocation;
  const rule = 'must emit { term, reason } with the term that granted$ emitted';
  throw emissionFault('revoked$', value, rule, "{ term, reason: 'superseded' }");
}

function emissionFault(
  stream: string,
  value: unknown,
  rule: string,
  example: string,
): LeaderElectionOptionsError {
  const field = `${stream} of the override of LeadershipService`;
  const fix = `emit ${example}, or ${USE_A_WHOLE_ONE}`;
  return new LeaderElectionOptionsError([{ field, value, rule, fix }]);
}
