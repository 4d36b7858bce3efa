import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { leaseLock } from '../../../lib/index.js';
import { LeaderSchedule } from '../../../lib/schedule/index.js';
import { objectOf } from '../../../lib/schedule/ledger/spread-ledger.js';
import { ApiEmulator } from '../../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../../proof/api-emulator/emulated-cluster.js';
import { ScheduledApplications } from '../support/scheduled-applications.js';

const OBJECTS = 3;
/** A name for each object. */
const NAMES = Array.from({ length: OBJECTS }, (_, object) =>
  Array.from({ length: 100 }, (_each, index) => `job-${index}`).find(
    (name) => objectOf(name, OBJECTS) === object,
  ),
) as string[];

interface SentEvent {
  readonly message?: string;
  readonly involvedObject: object;
}

let emulator: ApiEmulator;
let elections: ScheduledApplications;
let end: () => void;

beforeEach(async () => {
  emulator = await ApiEmulator.start();
  emulator.fail({
    on: ({ path }) => path.endsWith('/events'),
    times: Infinity,
    fault: { kind: 'answer', status: 201, body: { kind: 'Event' } },
  });
  elections = new ScheduledApplications();
});
afterEach(async () => {
  end();
  await elections.end();
  await emulator.stop();
});

/** By the name of the job, the objects that are told of. */
function toldOf(): Record<string, object[]> {
  const told: Record<string, object[]> = {};
  for (const { body } of emulator.requestsOf('create')) {
    const { message, involvedObject } = body as SentEvent;
    const [, job] = /^job "(.+)" missed (?:a tick|ticks) \(forbidden\)$/.exec(message ?? '') ?? [];
    if (job !== undefined) (told[job] ??= []).push(involvedObject);
  }
  return told;
}

describe('when jobs of a role that is spread over several objects miss ticks', () => {
  it('tells of each on the object that has its record', async () => {
    const lock = leaseLock({ kubeConfig: kubeConfigTo(emulator.url) });
    const options = { lock, namespace: 'default', events: true, scheduleObjects: OBJECTS };
    const application = await elections.start(elections.metadata([], options));
    const schedule = application.get(LeaderSchedule);
    const running = new Promise<void>((resolve) => (end = resolve));
    for (const name of NAMES) {
      schedule.add(name, '* * * * * *', () => running, { concurrencyPolicy: 'Forbid' });
    }
    await elections.advanceUntil(() => Object.keys(toldOf()).length === OBJECTS);
    const told = toldOf();
    for (const [object, job] of NAMES.entries()) {
      const name = `plan-scheduler-schedule${object === 0 ? '' : `-${object}`}`;
      const { apiVersion, kind, metadata } = emulator.store.get('default', name)!;
      const { uid } = metadata as { uid: string };
      const involved = { apiVersion, kind, namespace: 'default', name, uid };
      expect(told[job]).toEqual(told[job]!.map(() => involved));
    }
  });
});
