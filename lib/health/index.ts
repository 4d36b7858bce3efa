/**
 * The health of an election for @nestjs/terminus 11 and 12. Without it, `leadership.health()` says the same.
 */
export {
  LeadershipHealthIndicator,
  type LeadershipHealthOptions,
} from './leadership-health.indicator.js';
