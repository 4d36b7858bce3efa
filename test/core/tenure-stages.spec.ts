import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { MachineRun, representation } from '../support/machine-run.js';

/** The list below the drawing: ` *  1. none -> settling: what triggers it`. */
const drawn = [
  ...readFileSync('lib/core/election-machine.ts', 'utf8').matchAll(
    /^ \* +(\d+)\. (\w+ -> \w+): /gm,
  ),
].map(([, , change]) => change);

const acquiring = (strict = false): MachineRun => new MachineRun({ strict }).start().reads(null);
const leading = (): MachineRun => MachineRun.leading().at(1_000);
const draining = (): MachineRun => leading().withdraw('stepped-down');
const releasing = (): MachineRun => draining().say({ kind: 'drained', term: 1 });

const stageOf = ({ state }: MachineRun): string => state.tenure?.stage ?? 'none';

/** Each change with the event that triggers it, and how things stand before. */
const CHANGES: readonly [string, () => MachineRun, (run: MachineRun) => unknown][] = [
  ['none -> settling', () => acquiring(true), (run) => run.applied(10)],
  ['settling -> leading', () => acquiring(true).applied(10), settle],
  ['settling -> draining', () => settlingWhileRenewing(), (run) => run.withdraw('suspended')],
  ['leading -> draining', leading, (run) => run.withdraw('stepped-down')],
  ['draining -> releasing', draining, (run) => run.say({ kind: 'drained', term: 1 })],
  ['none -> releasing', suspendedWhileAcquiring, (run) => run.applied(10)],
  ['settling -> none', () => acquiring(true).applied(10), (run) => run.at(10_000).tick()],
  ['leading -> none', leading, (run) => run.at(10_000).tick()],
  ['draining -> none', draining, (run) => run.watch(null, 20n)],
  ['releasing -> none', releasing, (run) => run.applied(11)],
];

function suspendedWhileAcquiring(): MachineRun {
  return acquiring().withdraw('suspended');
}

function settlingWhileRenewing(): MachineRun {
  return acquiring(true).applied(10).at(2_000).tick();
}

/** Renews until the time to settle is over. */
function settle(run: MachineRun): void {
  while (stageOf(run) === 'settling') {
    if (run.state.pending === null) run.wake();
    else run.applied(Math.round(100 + run.now));
  }
}

describe('when one stage of holding the lease follows another', () => {
  it('is one of the changes that are drawn above the machine, each of which happens', () => {
    expect(drawn).toEqual(CHANGES.map(([change]) => change));
  });

  it.each(CHANGES)('changes as drawn: %s', (change, before, trigger) => {
    const [from, to] = change.split(' -> ');
    const run = before();
    expect(stageOf(run)).toBe(from);
    trigger(run);
    expect(stageOf(run)).toBe(to);
  });
});

describe('when a release follows a renewal that was not answered', () => {
  it('takes the renewal for applied if a read shows that it was, and releases at once', () => {
    const run = MachineRun.leading().at(2_000).tick();
    const landed = representation(run.written, 11);
    run.withdraw('stepped-down').say({ kind: 'drained', term: 1 }).wake();
    expect(stageOf(run)).toBe('releasing');
    run.reads(landed);
    expect(run.of('renewed')).toHaveLength(1);
    expect(run.in('releasing').appliedRenewMicros).toBe(landed.record.renewTimeMicros);
    expect(run.request.purpose).toBe('release');
  });
});
