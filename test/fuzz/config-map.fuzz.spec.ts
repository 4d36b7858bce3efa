import { describe, expect, it } from '@jest/globals';
import { type JsonDocument, parseDocument } from '../../lib/core/json-document.js';
import type { ObservedLease } from '../../lib/core/lease-record.js';
import { configMapAddress } from '../../lib/kubernetes/object-request.js';
import { ConfigMapRecordCodec } from '../../lib/locks/kubernetes/config-map-record.codec.js';
import { CONFIG, heldBy } from '../support/machine-run.js';
import { meetingCandidate } from './meeting-candidate.js';
import { RandomJson } from './random-json.js';

const CONFIG_MAPS = Number(process.env['FUZZ_ROUNDS'] ?? 5_000);
const SEED = 20_261_126;
const ADDRESS = configMapAddress('default', 'leaders');
const KEY = 'leader.nestjs-leader-election/plan';
const SPRING_KEY = 'leader.id.plan';

const codec = new ConfigMapRecordCodec({
  leaseName: 'plan',
  role: 'plan',
  isClientGo: false,
  podName: undefined,
});

/** What may be in the annotation: mostly a record, with fields of any kind. */
function randomText(random: RandomJson): string {
  if (random.chance(0.2)) return random.text();
  if (random.chance(0.1)) return JSON.stringify(random.value());
  const time = (): unknown => (random.chance(0.6) ? '2026-11-21T10:00:00Z' : random.value());
  return JSON.stringify({
    ...random.object(),
    holderIdentity: random.chance(0.7) ? random.text() : random.value(),
    leaseDurationSeconds: random.chance(0.6) ? random.below(120) : random.value(),
    acquireTime: time(),
    renewTime: time(),
    leaderTransitions: random.chance(0.6) ? random.below(2 ** 31) : random.value(),
  });
}

/** As a server sends it: of text alone. */
function randomConfigMap(random: RandomJson): JsonDocument {
  const texts = () => ({ a: random.text(), [SPRING_KEY]: random.text(), 'leader.id.b': 'pod-b' });
  const annotations = {
    other: random.text(),
    ...(random.chance(0.9) && { [KEY]: randomText(random) }),
  };
  const json = {
    ...random.object(),
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      ...random.object(),
      annotations: random.chance(0.95) ? annotations : random.value(),
      name: ADDRESS.name,
      namespace: ADDRESS.namespace,
      uid: 'uid-1',
      resourceVersion: '7',
    },
    data: random.chance(0.9) ? texts() : random.value(),
  };
  return JSON.parse(JSON.stringify(json)) as JsonDocument;
}

function decoded(json: JsonDocument): ObservedLease {
  const result = codec.decode(json, ADDRESS);
  if (result.kind === 'unusable') throw new Error(`${result.problem}: ${JSON.stringify(json)}`);
  return result.lease;
}

const objectIn = (value: unknown): JsonDocument => parseDocument(JSON.stringify(value)) ?? {};
const annotationsOf = (json: JsonDocument) => objectIn(objectIn(json['metadata'])['annotations']);

/** By the text alone, not by the library's reading of it. */
function mayBeHeld(json: JsonDocument): boolean {
  const text = annotationsOf(json)[KEY];
  if (text === undefined) return false;
  const record = parseDocument(text);
  return (
    record === undefined || ![undefined, null, ''].includes(record['holderIdentity'] as string)
  );
}

function promisedMs(json: JsonDocument): number {
  const seconds = parseDocument(annotationsOf(json)[KEY])?.['leaseDurationSeconds'];
  const makesSense = Number.isInteger(seconds) && Number(seconds) > 0 && Number(seconds) < 2 ** 31;
  return makesSense ? Number(seconds) * 1_000 : CONFIG.leaseDurationMs;
}

/** What remains when everything that the election owns is taken out. */
function foreign(json: JsonDocument): JsonDocument {
  const { metadata, data, ...rest } = json;
  const { annotations: _annotations, ...meta } = objectIn(metadata);
  const { [KEY]: _record, ...notes } = annotationsOf(json);
  const { [SPRING_KEY]: _name, ...texts } = objectIn(data);
  return { rest, meta, notes, texts };
}

describe(`when a candidate meets ${CONFIG_MAPS} random ConfigMaps (seed ${SEED})`, () => {
  it('never throws, takes none that may be held before its time, and then leads', () => {
    const random = new RandomJson(SEED);
    let held = 0;
    for (let round = 0; round < CONFIG_MAPS; round += 1) {
      const json = randomConfigMap(random);
      const lease = decoded(json);
      const heldForMs = mayBeHeld(json) ? promisedMs(json) : undefined;
      if (heldForMs !== undefined) held += 1;
      meetingCandidate(lease, heldForMs, random.chance(0.3));
    }
    // Both kinds were met, or the loop above has proved nothing.
    expect(held).toBeGreaterThan(CONFIG_MAPS / 4);
    expect(held).toBeLessThan(CONFIG_MAPS);
  });

  it('keeps everything that is not its own, and reads what it has written', () => {
    const random = new RandomJson(SEED + 1);
    for (let round = 0; round < CONFIG_MAPS; round += 1) {
      const json = randomConfigMap(random);
      const before = JSON.stringify(json);
      const record = heldBy('pod-a_1');
      const written = codec.replaced(record, decoded(json), ADDRESS);
      const sent = JSON.parse(JSON.stringify(written)) as JsonDocument;
      expect(JSON.stringify(json)).toBe(before);
      expect(foreign(sent)).toEqual(foreign(json));
      expect(sent['data']).toMatchObject({ [SPRING_KEY]: 'pod-a' });
      expect(decoded(sent).record).toEqual(record);
    }
  });
});
