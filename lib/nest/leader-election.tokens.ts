import { Inject } from '@nestjs/common';
import { LeadershipService } from './leadership.service.js';
import { checkedRole } from './method-marks.js';

// Symbols of the global registry: two loaded copies of this library (jest.resetModules) still understand each other.

/** Options of any role, as the user's factory or `forRoot` gave them. */
export const RAW_OPTIONS = Symbol.for('LEADER_ELECTION: raw options');
/** What the user gave outside of a factory: the role, and how it is registered. */
export const ROLE_REGISTRATION = Symbol.for('LEADER_ELECTION: role registration');
/** Checked and completed options. */
export const RESOLVED_OPTIONS = Symbol.for('LEADER_ELECTION: resolved options');
export const SELECTED_LOCK = Symbol.for('LEADER_ELECTION: lock');
export const ROLE_ELECTION = Symbol.for('LEADER_ELECTION: election of one role');
/** The class of all of them, which is loaded when an application starts. */
export const ROLE_ELECTION_CLASS = Symbol.for('LEADER_ELECTION: class of elections');

/** Internal: `overrideProvider(ELECTION_CLOCK)` puts an application on virtual time. */
export const ELECTION_CLOCK = Symbol.for('LEADER_ELECTION: clock');
/** Internal: makes the elector of a role; `/testing` replaces it by one with which a test decides. */
export const ELECTOR_FACTORY = Symbol.for('LEADER_ELECTION: elector factory');
/** Internal: uniform in [0, 1). */
export const ELECTION_RANDOM = Symbol.for('LEADER_ELECTION: random');

/** Token of one role's service, given as text so that Nest's own errors say what to do. */
export function roleToken(role: string): symbol {
  const registration = `LeaderElectionModule.forRoot({ role: ${JSON.stringify(role)} })`;
  return Symbol.for(`LeadershipService of ${registration}`);
}

/**
 * Injection token of a role's {@link LeadershipService}, for `inject: [...]` and `app.get(...)`. Without a role it is
 * that of the only one; an application with several roles does not start if something injects it.
 */
export function getLeadershipToken(role?: string): symbol | typeof LeadershipService {
  return role === undefined ? LeadershipService : roleToken(role);
}

/**
 * Token of the options as they were given to the module of a role, before they are checked. For tests:
 * `overrideProvider(getLeaderElectionOptionsToken()).useValue({ lock: 'memory' })` replaces all of them; `role` may be
 * left out, as the module keeps its own.
 * @param role absent: the options of every role of the application
 */
export function getLeaderElectionOptionsToken(role?: string): symbol {
  return role === undefined
    ? RAW_OPTIONS
    : Symbol.for(`options of LeaderElectionModule.forRoot({ role: ${JSON.stringify(role)} })`);
}

/**
 * Injects the LeadershipService of a role into a constructor parameter or a property.
 * @param role may be absent if the application has one role
 * @throws LeaderElectionOptionsError when the class is defined, if the role is not a string
 */
export function InjectLeadership(role?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getLeadershipToken(checkedRole('@InjectLeadership()', role)));
}
