import { LEASE } from './lease-kind.js';
import type { Body, Change, ObjectKind } from './object-kind.js';
import { type Answer, badRequest, invalid } from './status-body.js';

const NAMES = { kind: 'ConfigMap', resource: 'configmaps', group: '' };
const MAX_BYTES = 1_048_576;
const FIELDS = ['immutable', 'data', 'binaryData'];

export const CONFIG_MAP: ObjectKind = {
  ...NAMES,
  isReplacedUnconditionally: true,
  isCreatedByPut: false,
  hasStatus: false,
  hasGeneration: false,
  emptyContent: {},
  faultOf,
  contentOf: (body) =>
    Object.fromEntries(FIELDS.filter((field) => isSet(body[field])).map((f) => [f, body[f]])),
  selectable: LEASE.selectable,
  unknownSelector: (field) => LEASE.unknownSelector(field),
};

function faultOf(body: Body, name: string, change?: Change): Answer | undefined {
  const data = (body['data'] ?? {}) as Body;
  const odd = Object.values(data).find((value) => typeof value !== 'string');
  if (odd !== undefined) {
    return badRequest(
      `ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal ` +
        `${typeof odd} into Go struct field ConfigMap.data of type string`,
    );
  }
  const bytes = Object.values(data).reduce<number>((sum, text) => sum + sizeOf(text as string), 0);
  if (bytes > MAX_BYTES) {
    return invalid(name, `[]: Too long: may not be more than ${MAX_BYTES} bytes`, NAMES);
  }
  const isLocked = change?.stored['immutable'] === true;
  if (isLocked && JSON.stringify(change.stored['data']) !== JSON.stringify(body['data'])) {
    const why = 'data: Forbidden: field is immutable when `immutable` is set';
    return invalid(name, why, NAMES);
  }
  return undefined;
}

function isSet(value: unknown): boolean {
  return typeof value === 'object' && value !== null
    ? Object.keys(value).length > 0
    : value !== undefined && value !== null;
}

function sizeOf(text: string): number {
  return Buffer.byteLength(text);
}
