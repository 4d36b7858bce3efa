import { describe, expect, it } from '@jest/globals';
import type { ObservedLease } from '../../lib/core/lease-record.js';
import type { JsonDocument } from '../../lib/core/json-document.js';
import { leaseAddress } from '../../lib/kubernetes/object-request.js';
import { RELEASED_ANNOTATION } from '../../lib/locks/kubernetes/lease-object.js';
import { decodeLease, encodeReplacement } from '../../lib/locks/kubernetes/lease-record.codec.js';
import { CONFIG, heldBy, MachineRun } from '../support/machine-run.js';
import { meetingCandidate } from './meeting-candidate.js';
import { RandomJson } from './random-json.js';

const LEASES = Number(process.env['FUZZ_ROUNDS'] ?? 5_000);
const SEED = 20_261_121;
const ADDRESS = leaseAddress('default', 'fuzzed');

/** Any Lease that a server accepts, or might one day send. Every fifth spec is not even an object. */
function randomLease(random: RandomJson): JsonDocument {
  const time = (): unknown => (random.chance(0.6) ? '2026-11-21T10:00:00.123456Z' : random.value());
  const spec: Record<string, unknown> = {
    ...random.object(),
    holderIdentity: random.chance(0.7) ? random.text() : random.value(),
    leaseDurationSeconds: random.chance(0.6) ? random.below(120) : random.value(),
    acquireTime: time(),
    renewTime: time(),
    leaseTransitions: random.chance(0.6) ? random.below(2 ** 31) : random.value(),
  };
  for (const field of Object.keys(spec)) if (random.chance(0.1)) delete spec[field];
  return {
    ...random.object(),
    apiVersion: ADDRESS.apiVersion,
    kind: 'Lease',
    metadata: {
      ...random.object(),
      labels: random.object(),
      annotations: random.chance(0.7) ? random.object() : random.value(),
      ownerReferences: [random.object()],
      name: ADDRESS.name,
      namespace: ADDRESS.namespace,
      uid: 'uid-1',
      resourceVersion: '7',
    },
    ...(random.chance(0.95) ? { spec } : { spec: random.value() }),
  };
}

/** What remains of an object when everything that the election owns is taken out. */
function foreign({ metadata, spec, ...rest }: JsonDocument): string {
  const { annotations, ...meta } = metadata as JsonDocument;
  const ours = [
    'holderIdentity',
    'leaseDurationSeconds',
    'acquireTime',
    'renewTime',
    'leaseTransitions',
  ];
  const kept = Object.entries((spec ?? {}) as JsonDocument).filter(([key]) => !ours.includes(key));
  const isObject =
    typeof annotations === 'object' && annotations !== null && !Array.isArray(annotations);
  const marks = isObject
    ? Object.entries(annotations).filter(([key]) => key !== RELEASED_ANNOTATION)
    : [];
  return JSON.stringify([rest, meta, marks, kept]);
}

function specOf(json: JsonDocument): JsonDocument {
  const spec: unknown = (JSON.parse(JSON.stringify(json)) as JsonDocument)['spec'];
  return typeof spec === 'object' && spec !== null && !Array.isArray(spec)
    ? (spec as JsonDocument)
    : {};
}

/** By the text alone, not by the library's reading of it. */
function mayBeHeld(json: JsonDocument): boolean {
  return ![undefined, null, ''].includes(specOf(json)['holderIdentity'] as string | undefined);
}

function promisedMs(json: JsonDocument): number {
  const seconds = specOf(json)['leaseDurationSeconds'];
  const makesSense = Number.isInteger(seconds) && Number(seconds) > 0 && Number(seconds) < 2 ** 31;
  return makesSense ? Number(seconds) * 1_000 : CONFIG.leaseDurationMs;
}

function decoded(json: JsonDocument): ObservedLease {
  // What a server sends is text: only what survives it counts.
  const result = decodeLease(JSON.parse(JSON.stringify(json)), ADDRESS);
  if (result.kind === 'unusable') throw new Error(`${result.problem}: ${JSON.stringify(json)}`);
  return result.lease;
}

describe(`when a candidate meets ${LEASES} random leases (seed ${SEED})`, () => {
  it('never throws, takes none that may be held before its time, and then leads', () => {
    const random = new RandomJson(SEED);
    let held = 0;
    for (let round = 0; round < LEASES; round += 1) {
      const json = randomLease(random);
      const lease = decoded(json);
      const heldForMs = mayBeHeld(json) ? promisedMs(json) : undefined;
      if (heldForMs !== undefined) held += 1;
      const run = meetingCandidate(lease, heldForMs, random.chance(0.3));
      const { leaseTransitions, renewTimeMicros } = run.written;
      if (!(leaseTransitions >= 1 && leaseTransitions < 2 ** 31 && renewTimeMicros! > 0)) {
        throw new Error(`unstorable: ${JSON.stringify(run.written)}`);
      }
    }
    // Both kinds were met, or the loop above has proved nothing.
    expect(held).toBeGreaterThan(LEASES / 4);
    expect(held).toBeLessThan(LEASES);
  });

  it('keeps everything that is not its own, byte for byte', () => {
    const random = new RandomJson(SEED + 1);
    let compared = 0;
    for (let round = 0; round < LEASES; round += 1) {
      const json = JSON.parse(JSON.stringify(randomLease(random))) as JsonDocument;
      const { spec } = json;
      if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) continue;
      const written = encodeReplacement(heldBy('me'), decoded(json), ADDRESS);
      const sent = JSON.parse(JSON.stringify(written)) as JsonDocument;
      if (foreign(sent) !== foreign(json)) throw new Error(`${foreign(json)} -> ${foreign(sent)}`);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(LEASES * 0.9);
  });

  it('loses its leadership to none of them without a word, and never throws as a leader', () => {
    const random = new RandomJson(SEED + 2);
    for (let round = 0; round < LEASES; round += 1) {
      const lease = { ...decoded(randomLease(random)), revision: 11n };
      const run = MachineRun.leading().watch(lease);
      const revoked = run.of('revoke').length;
      if (run.isLeader() || revoked !== 1) throw new Error(JSON.stringify(lease.source));
    }
    expect(MachineRun.leading().isLeader()).toBe(true);
  });
});
