import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NodeProgram } from '../../proof/fleet/node-program.js';
import type { StuckRequest, StuckSettings } from './support/stuck-application.js';

const PROGRAM = fileURLToPath(
  new URL('../../.tools/test/e2e/support/stuck-application.js', import.meta.url),
);

interface ToldEvent {
  readonly event: 'listening' | 'started' | 'aborted' | 'missed' | 'cancelled' | 'inspected';
  readonly identity?: string;
  readonly scheduledTime?: string;
  readonly code?: string;
  readonly by?: string;
  readonly reason?: string;
  readonly result?: string;
  readonly status?: { readonly history: readonly { readonly scheduledTime: string }[] };
}

/** One process of the application. */
class Replica extends NodeProgram {
  readonly events: ToldEvent[] = [];

  constructor(name: string, settings: StuckSettings) {
    const env = { STUCK_SETTINGS: JSON.stringify(settings) };
    super({ name, program: PROGRAM, hasChannel: true, env });
  }

  /** The first event of that kind that fits. */
  async event(
    kind: ToldEvent['event'],
    fits: (told: ToldEvent) => boolean = () => true,
  ): Promise<ToldEvent> {
    const find = (): ToldEvent | undefined =>
      this.events.find((told) => told.event === kind && fits(told));
    await this.until(`"${kind}"`, () => find() !== undefined);
    return find()!;
  }

  ask(request: StuckRequest): Promise<ToldEvent> {
    this.send(request);
    return this.event(request.ask);
  }

  protected override heard(line: string): void {
    if (line.startsWith('{"event":')) this.events.push(JSON.parse(line) as ToldEvent);
  }
}

let directory: string;
let replicas: Replica[];

function start(name: string): Replica {
  const replica = new Replica(name, {
    lockDirectory: directory,
    freeFile: join(directory, 'free'),
  });
  replicas.push(replica);
  return replica;
}

/** Runs that start from now on are not stuck. */
const free = (): void => writeFileSync(join(directory, 'free'), '');

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cancel-'));
  replicas = [];
});

afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.kill()));
  rmSync(directory, { recursive: true, force: true });
});

describe('when a run is stuck on the replica that leads', () => {
  let leader: Replica;
  let follower: Replica;
  let stuck: string;
  let identities: readonly string[];

  const isStuckTick = ({ scheduledTime }: { scheduledTime?: string }): boolean =>
    scheduledTime === stuck;
  const isLaterTick = ({ scheduledTime }: ToldEvent): boolean => scheduledTime! > stuck;

  beforeEach(async () => {
    leader = start('leader');
    stuck = (await leader.event('started')).scheduledTime!;
    follower = start('follower');
    const told = await Promise.all([leader, follower].map((replica) => replica.event('listening')));
    identities = told.map(({ identity }) => identity!);
  });

  it('is cancelled through a follower, which says by whom and why, and the next tick starts', async () => {
    free();
    const { result } = await follower.ask({ ask: 'cancelled', reason: 'no paper' });
    expect(result).toBe('ended');
    const by = identities[1];
    expect(await leader.event('aborted')).toMatchObject({
      code: 'ERR_JOB_CANCELLED',
      by,
      reason: 'no paper',
    });
    const { status } = await follower.ask({ ask: 'inspected' });
    expect(status!.history.find(isStuckTick)).toMatchObject({
      outcome: 'cancelled',
      holderIdentity: identities[0],
      cancellation: { by, reason: 'no paper' },
    });
    await leader.event('started', isLaterTick);
  });

  it('is reported as interrupted if its process is killed, and the next tick starts elsewhere', async () => {
    free();
    await leader.kill();
    const isOfRun = (told: ToldEvent): boolean =>
      isStuckTick(told) && told.reason === 'interrupted';
    await follower.event('missed', isOfRun);
    await follower.event('started', isLaterTick);
    const { status } = await follower.ask({ ask: 'inspected' });
    expect(status!.history.find(isStuckTick)).toMatchObject({
      outcome: 'interrupted',
      holderIdentity: identities[0],
      cancellation: null,
    });
  });
});
