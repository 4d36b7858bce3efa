import type { ObservedLease } from '../../core/lease-record.js';
import { asStatus, type ApiStatus } from './api-status.js';
import { isJsonObject } from '../../core/json-document.js';
import { decodeLease } from './lease-record.codec.js';
import type { ObjectAddress } from './object-address.js';

/** One line of a watch. */
export type WatchEvent =
  | { readonly kind: 'changed'; readonly lease: ObservedLease | null; readonly revision: bigint }
  /** A bookmark, or an event of another object: proof of life and nothing else. */
  | { readonly kind: 'alive' }
  /** The server ends the watch, e.g. with 410 because it no longer has the history. */
  | { readonly kind: 'error'; readonly status: ApiStatus | null };

/** Throws an Error that says what is wrong with the line. */
export function parseWatchEvent(line: string, address: ObjectAddress): WatchEvent {
  const json: unknown = JSON.parse(line);
  if (!isJsonObject(json)) throw new Error('an event is not a JSON object');
  const { type, object } = json;
  switch (type) {
    case 'BOOKMARK':
      return { kind: 'alive' };
    case 'ERROR':
      return { kind: 'error', status: asStatus(object) };
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return parseChange(type, object, address);
    default:
      throw new Error(`an event is of type ${JSON.stringify(type)}`);
  }
}

function parseChange(type: string, object: unknown, address: ObjectAddress): WatchEvent {
  if (isNamedOtherwise(object, address)) return { kind: 'alive' };
  const decoded = decodeLease(object, address);
  if (!decoded.ok) throw new Error(`the object of a ${type} event ${decoded.problem}`);
  const { lease } = decoded;
  // The object of a DELETED event is the last state, under the resourceVersion of the deletion.
  return { kind: 'changed', lease: type === 'DELETED' ? null : lease, revision: lease.revision };
}

/** The field selector leaves no others; a server in between that ignores selectors does. */
function isNamedOtherwise(object: unknown, address: ObjectAddress): boolean {
  if (!isJsonObject(object) || !isJsonObject(object['metadata'])) return false;
  const { name } = object['metadata'];
  return typeof name === 'string' && name !== address.name;
}
