import { parseArgs } from 'node:util';
import { FAULT_KINDS, type FaultKind, isFaultKind } from './fault.js';

export interface SimulationArguments {
  readonly schedules: number;
  readonly seed: number;
  readonly candidates: number;
  readonly minutes: number;
  readonly workers: number;
  readonly kinds: readonly FaultKind[];
  readonly json: boolean;
}

export function parseSimulationArguments(): SimulationArguments {
  const { values } = parseArgs({
    options: {
      schedules: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      candidates: { type: 'string', default: '3' },
      minutes: { type: 'string', default: '10' },
      workers: { type: 'string', default: '1' },
      faults: { type: 'string', default: FAULT_KINDS.join(',') },
      json: { type: 'boolean', default: false },
    },
  });
  return {
    schedules: whole('schedules', values.schedules),
    seed: whole('seed', values.seed),
    candidates: whole('candidates', values.candidates),
    minutes: whole('minutes', values.minutes),
    workers: whole('workers', values.workers),
    kinds: values.faults.split(',').filter(Boolean).map(faultKind),
    json: values.json,
  };
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name} must be a whole number above 0, not "${text}"`);
}

function faultKind(name: string): FaultKind {
  if (isFaultKind(name)) return name;
  throw new Error(`--faults: there is no "${name}"; there are ${FAULT_KINDS.join(', ')}`);
}
