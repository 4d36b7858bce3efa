import { handOver } from '../fleet/leader-requests.js';
import { type Command, EXIT, millisecondsOf, textOf } from './command.js';
import { CONNECTION_OPTIONS, operatorName, withLock } from './connection.js';

/** A leader hears of a request within a retry period: even with the quiet profile that is less. */
const DEFAULT_TIMEOUT_MS = 30_000;

export const STEP_DOWN: Command = {
  name: 'step-down',
  summary: 'Ask the leader to hand over, to a member or to whoever comes first.',
  usage: '--lease NAME [--to MEMBER] [options]',
  details:
    'The leader ends its work before it releases the lease, and does not compete for two retry periods. ' +
    'Needs the verbs get and update on the lease, which is the permission.',
  options: {
    ...CONNECTION_OPTIONS,
    to: { type: 'string', value: 'MEMBER', help: 'the pod or the identity that is to follow' },
    'timeout-ms': { type: 'string', value: 'N', help: 'how long to wait; default: 30000' },
  },
  run: (call) =>
    withLock(call, async (lock, { leaseName }) => {
      const { output } = call;
      const timeoutMs = millisecondsOf(call, 'timeout-ms') ?? DEFAULT_TIMEOUT_MS;
      const to = textOf(call, 'to');
      const asked = await handOver(lock, { by: operatorName(call), to, timeoutMs });
      const { leader, term, isAnswered, next, isAsAsked } = asked;
      const result = { ok: true, lease: leaseName, steppedDown: leader, term, leader: next };
      output.result({ ...result, answered: isAnswered });
      if (!isAnswered) {
        output.say(`term ${term} of ${leader} ended before it answered`);
      } else output.say(`${leader} has stepped down (term ${term})`);
      if (next === undefined) {
        output.say('no process leads yet: its work ends, or no other process competes');
        return EXIT.temporary;
      }
      output.say(`${next} leads now`);
      if (!isAsAsked) {
        output.warn(`${to} did not acquire the lease in time, so ${next} did`);
        return EXIT.refused;
      }
      return EXIT.done;
    }),
};
