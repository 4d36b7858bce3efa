import { describe, expect, it } from '@jest/globals';
import { RandomStream } from '../simulation/random-stream.js';
import type { ChaosOptions } from './chaos-options.js';
import { FaultPlan } from './fault-plan.js';
import type { Fault } from './fault.js';

function faults(options: Pick<ChaosOptions, 'lock' | 'strict'>, seed = 1): Fault[] {
  const plan = new FaultPlan(new RandomStream(seed, 'chaos'), options);
  return Array.from({ length: 3_000 }, () => plan.next().fault);
}

const kinds = (of: readonly Fault[]) => new Set(of.map(({ kind }) => kind));

const OF_PROCESSES = [
  'step-down',
  'sigterm',
  'sigkill',
  'sigstop',
  'block-loop',
  'busy-pool',
  'starve',
  'exhaust-files',
  'wall-clock-step',
];
const OF_OPERATORS = ['ask', 'ask-again'];
const OF_THE_NETWORK = [
  'partition',
  'delay',
  'throttle',
  'reset',
  'close',
  'half-open',
  'refuse',
  'http-error',
  'other-server',
];
const OF_SERVERS = [
  'api-server-kill',
  'api-server-stop',
  'etcd-kill',
  'etcd-stop',
  'token-rotation',
];

describe('when faults are planned', () => {
  const onLease = faults({ lock: 'lease', strict: false });

  it('plans the same ones for the same seed', () => {
    expect(faults({ lock: 'lease', strict: false })).toEqual(onLease);
    expect(faults({ lock: 'lease', strict: false }, 2)).not.toEqual(onLease);
  });

  it('ends, stops and isolates replicas, both ways and one way, and ends and stops servers', () => {
    const all = [...OF_PROCESSES, ...OF_THE_NETWORK, ...OF_SERVERS, ...OF_OPERATORS];
    expect(kinds(onLease)).toEqual(new Set(all));
    const cuts = onLease.flatMap((fault) => (fault.kind === 'partition' ? [fault.direction] : []));
    expect(new Set(cuts)).toEqual(new Set(['both', 'to-server', 'to-client']));
  });

  it('lets people delete and edit the lease in strict mode only', () => {
    const strict = kinds(faults({ lock: 'lease', strict: true }));
    expect([...strict].filter((kind) => !kinds(onLease).has(kind)).sort()).toEqual([
      'lease-delete',
      'lease-edit',
    ]);
  });

  it('asks the leader to step down, for a standby, a stranger or whoever comes first', () => {
    const named = onLease.flatMap((fault) => (fault.kind === 'ask' ? [fault.successor] : []));
    expect(new Set(named)).toEqual(new Set(['none', 'standby', 'stranger']));
  });

  it('writes no request again where terms may begin again', () => {
    expect(kinds(faults({ lock: 'lease', strict: true })).has('ask-again')).toBe(false);
  });

  it('leaves network and servers alone where the lock has none, and fills its disk', () => {
    expect(kinds(faults({ lock: 'file', strict: false }))).toEqual(
      new Set([...OF_PROCESSES, ...OF_OPERATORS, 'disk-full']),
    );
  });

  it('lets a load balancer answer in place of the server, before and after that has the request', () => {
    const errors = onLease.flatMap((fault) => (fault.kind === 'http-error' ? [fault] : []));
    expect(new Set(errors.map(({ status }) => status))).toEqual(new Set([429, 500, 502, 503, 504]));
    expect(new Set(errors.map(({ reachesServer }) => reachesServer))).toEqual(
      new Set([true, false]),
    );
  });

  it('sets clocks back by up to an hour, and ahead by seconds', () => {
    const steps = onLease.flatMap((fault) =>
      fault.kind === 'wall-clock-step' ? [fault.byMs] : [],
    );
    expect(Math.min(...steps)).toBeLessThan(-1_800_000);
    expect(Math.max(...steps)).toBeGreaterThan(1_000);
    expect(Math.max(...steps)).toBeLessThanOrEqual(3_000);
  });
});
