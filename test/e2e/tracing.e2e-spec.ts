import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { NodeProgram } from '../../proof/fleet/node-program.js';
import type { PrintedSpan, TracedSettings } from './support/traced-application.js';

const PROGRAM = fileURLToPath(
  new URL('../../.tools/test/e2e/support/traced-application.js', import.meta.url),
);
const OK_OR_UNSET = [0, 1];

let cluster: ElectionCluster;
let kubeConfigFile: string;
const replicas: NodeProgram[] = [];

beforeAll(async () => {
  cluster = await ElectionCluster.start();
  // Jobs have an object beside the lease.
  kubeConfigFile = await cluster.addAccount('application', [
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      verbs: ['get', 'list', 'watch', 'create', 'update'],
    },
  ]);
}, FIRST_START_LIMIT_MS);

afterEach(() => Promise.all(replicas.map((replica) => replica.kill())));

afterAll(() => cluster?.stop());

function start(identity: string): NodeProgram {
  const { leaseName } = cluster;
  const settings: TracedSettings = { kubeConfigFile, leaseName, identity };
  const env = { TRACED_SETTINGS: JSON.stringify(settings) };
  const replica = new NodeProgram({ name: identity, program: PROGRAM, env });
  replicas.push(replica);
  return replica;
}

async function closed(replica: NodeProgram): Promise<PrintedSpan[]> {
  replica.signal('SIGTERM');
  const { match } = await replica.line(/^spans (.*)$/);
  await replica.exited;
  expect(replica.outcome).toBe(0);
  return JSON.parse(match[1]!) as PrintedSpan[];
}

function named(spans: readonly PrintedSpan[], name: string): PrintedSpan[] {
  return spans.filter((span) => span.name === name);
}

function only(spans: readonly PrintedSpan[], name: string): PrintedSpan {
  const found = named(spans, name);
  expect([name, found.length]).toEqual([name, 1]);
  return found[0]!;
}

/** Spans of the user's, each inside a run. */
function checkRuns(spans: readonly PrintedSpan[], run: string, inside: string): void {
  const { id: acquisition, attributes } = only(spans, 'leader_election.acquire');
  const runs = named(spans, run);
  expect(runs.length).toBeGreaterThan(0);
  for (const each of runs) {
    expect(each.links).toEqual([acquisition]);
    expect(OK_OR_UNSET).toContain(each.status);
    const token = 'leader_election.fencing_token';
    expect(each.attributes[token]).toBe(attributes[token]);
  }
  const work = named(spans, inside);
  expect(new Set(work.map(({ parent }) => parent))).toEqual(new Set(runs.map(({ id }) => id)));
  expect(work).toHaveLength(runs.length);
}

describe('when one process hands leadership over to another on a real API server, as ES modules', () => {
  it('shows the acquisitions, the handover with its phases, and each run with the spans inside it', async () => {
    const first = start('pod-a');
    await first.line(/^granted$/);
    const second = start('pod-b');
    await second.line(/^leader pod-a$/);
    await first.line(/^closed$/);
    await first.line(/^polled$/);
    const ofFirst = await closed(first);
    await second.line(/^granted$/);
    await second.line(/^closed$/);
    await second.line(/^polled$/);
    const ofSecond = await closed(second);

    for (const [identity, spans] of [
      ['pod-a', ofFirst],
      ['pod-b', ofSecond],
    ] as const) {
      const acquired = only(spans, 'leader_election.acquire');
      expect(acquired.attributes).toMatchObject({
        'leader_election.role': 'plan-scheduler',
        'leader_election.lease': `Lease ${NAMESPACE}/${cluster.leaseName}`,
        'leader_election.identity': identity,
        'leader_election.term': expect.any(Number),
        'leader_election.fencing_token': expect.stringMatching(/^\d+$/),
      });
      const handover = only(spans, 'leader_election.handover');
      expect(handover.attributes).toMatchObject({
        'leader_election.reason': 'shutdown',
        'leader_election.released': true,
      });
      for (const phase of ['withdraw', 'drain', 'release']) {
        const span = only(spans, `leader_election.${phase}`);
        expect([span.parent, span.trace, span.links]).toEqual([
          handover.id,
          handover.trace,
          [acquired.id],
        ]);
      }
      const drain = only(spans, 'leader_election.drain');
      const release = only(spans, 'leader_election.release');
      expect(release.attributes['leader_election.outcome']).toBe('applied');
      const polls = named(spans, 'Plans.poll');
      for (const { end } of polls) expect(end).toBeLessThanOrEqual(drain.end + 1);
      checkRuns(spans, 'Plans.poll', 'SELECT plans');
      checkRuns(spans, 'close-plans', 'UPDATE plans');
      for (const { parent } of named(spans, 'close-plans')) expect(parent).toBeUndefined();
      expect(named(spans, 'leader_election.renew')).toEqual([]);
    }
    const [before, after] = [ofFirst, ofSecond].map((spans) =>
      only(spans, 'leader_election.acquire'),
    );
    const token = (span: PrintedSpan) =>
      BigInt(String(span.attributes['leader_election.fencing_token']));
    expect(token(after!)).toBeGreaterThan(token(before!));
    expect(after!.attributes['leader_election.term']).toBe(
      Number(before!.attributes['leader_election.term']) + 1,
    );
    const ran = ofSecond.filter(({ name }) => /^(Plans\.poll|close-plans)$/.test(name));
    const drained = only(ofFirst, 'leader_election.drain').end;
    // A standby that skips its ticks has no span of them.
    for (const { start: startedAt } of ran) expect(startedAt).toBeGreaterThanOrEqual(drained - 1);
  });
});
