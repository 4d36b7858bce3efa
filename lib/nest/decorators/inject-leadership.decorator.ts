import { Inject } from '@nestjs/common';
import { getLeadershipToken } from '../leader-election.constants.js';
import { checkedRole } from './decorator-target.js';

/**
 * Injects the LeadershipService of a role into a constructor parameter or a property.
 * @param role may be absent if the application has one role
 */
export function InjectLeadership(role?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getLeadershipToken(checkedRole('@InjectLeadership()', role)));
}
