import { isCrowd } from '../core/crowd.js';
import { parseDocument } from '../core/json-document.js';
import {
  type Crowd,
  type GivenUp,
  type HoldersAddress,
  type HoldersContainer,
  type LeaderRequest,
  type LeaseRecord,
  MAX_INT32,
  type NamedSuccessor,
  type RequestAnswer,
} from '../core/lease-record.js';

const RFC_3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?(?:[Zz]|([+-])(\d{2}):?(\d{2}))$/;

/**
 * The API's MicroTime: RFC 3339 in UTC with exactly six fraction digits. The API server answers 400 to any other
 * number of digits.
 */
export function formatMicroTime(micros: number): string {
  const millis = Math.floor(micros / 1000);
  const rest = String(micros - millis * 1000).padStart(3, '0');
  return `${new Date(millis).toISOString().slice(0, -1)}${rest}Z`;
}

/**
 * Reads what any client may have written: no fraction, any number of digits (those beyond the microsecond are cut),
 * any offset. Null for everything that is not a time, or not one that a number holds exactly (R17).
 */
export function parseMicroTime(text: unknown): number | null {
  if (typeof text !== 'string') return null;
  const match = RFC_3339.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second, fraction = '', sign, offHours, offMinutes] =
    match;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second));
  // A day or hour that does not exist rolls over into the next one; a time has to survive the round trip.
  if (date.toISOString().slice(0, 19) !== `${year}-${month}-${day}T${hour}:${minute}:${second}`) {
    return null;
  }
  const offset =
    sign === undefined
      ? 0
      : (sign === '-' ? -1 : 1) * (Number(offHours) * 60 + Number(offMinutes)) * 60_000;
  const micros = (date.getTime() - offset) * 1000 + Number(fraction.slice(0, 6).padEnd(6, '0'));
  return Number.isSafeInteger(micros) ? micros : null;
}

/** `plan-scheduler (term 4)` */
const NAME_AND_TERM = /^(.+) \(term (\d+)\)$/s;

type HolderName = 'application' | 'memberUid';

/**
 * Something that names the holder, as it is stored. With the term, since an older version of this library and other
 * clients write back what they do not understand: the name then stays behind when they take the lease.
 */
export function formatHolderName(record: LeaseRecord, field: HolderName): string | null {
  const name = record[field];
  return name === undefined ? null : `${name} (term ${record.leaseTransitions})`;
}

/** Undefined for a name that another holder has left behind. */
export function parseHolderName(stored: unknown, leaseTransitions: number): string | undefined {
  if (typeof stored !== 'string') return undefined;
  const [, name, term] = NAME_AND_TERM.exec(stored) ?? [];
  return Number(term) === leaseTransitions ? name : undefined;
}

/** `3.5:12` */
const CROWD = /^(\d{1,4}(?:\.\d{1,3})?):(\d{1,7}(?:\.\d{1,3})?)$/;

export function formatCrowd({ crowd }: Pick<LeaseRecord, 'crowd'>): string | null {
  return crowd === undefined ? null : `${crowd.candidates}:${crowd.stepMs}`;
}

/** Undefined for everything that no holder writes: an edit by hand then counts as no crowd at all (R17, R22). */
export function parseCrowd(stored: unknown): Crowd | undefined {
  if (typeof stored !== 'string') return undefined;
  const match = CROWD.exec(stored);
  if (match === null) return undefined;
  const crowd = { candidates: Number(match[1]), stepMs: Number(match[2]) };
  return isCrowd(crowd) ? crowd : undefined;
}

/** `4:2c0f7d6e-…`, of a member on Kubernetes; on other locks an identity, which may be any text. */
const SUCCESSOR = /^(\d{1,10}):(.{1,1024})$/s;

export function formatSuccessor({ successor }: Pick<LeaseRecord, 'successor'>): string | null {
  return successor === undefined ? null : `${successor.transitions}:${successor.uid}`;
}

export function parseSuccessor(stored: unknown): NamedSuccessor | undefined {
  if (typeof stored !== 'string') return undefined;
  const match = SUCCESSOR.exec(stored);
  return match === null ? undefined : { transitions: Number(match[1]), uid: match[2]! };
}

/** `4:1:2c0f7d6e-…`: the term, how often by then, and who. */
const GAVE_UP = /^(\d{1,10}):([1-9]\d?):(.{1,1024})$/s;

export function formatGaveUp({ gaveUp }: Pick<LeaseRecord, 'gaveUp'>): string | null {
  return gaveUp === undefined ? null : `${gaveUp.transitions}:${gaveUp.count}:${gaveUp.uid}`;
}

export function parseGaveUp(stored: unknown): GivenUp | undefined {
  if (typeof stored !== 'string') return undefined;
  const match = GAVE_UP.exec(stored);
  if (match === null) return undefined;
  return { transitions: Number(match[1]), count: Number(match[2]), uid: match[3]! };
}

/** `<identity>/4/<acquire time>/<uid of the pod>/<name>/containerd://…`; an identity may be any text, with slashes too. */
const CONTAINER =
  /^(.+)\/(\d{1,10})\/([^/]+)\/([^/]+)\/([^/]+)\/((?:containerd|cri-o):\/\/[0-9a-f]{64})$/s;

export function formatContainer({ container }: Pick<LeaseRecord, 'container'>): string | null {
  if (container === undefined) return null;
  const { holderIdentity, transitions, podUid, containerName, containerId } = container;
  const acquireTime = formatMicroTime(container.acquireTimeMicros);
  return `${holderIdentity}/${transitions}/${acquireTime}/${podUid}/${containerName}/${containerId}`;
}

export function parseContainer(stored: unknown): HoldersContainer | undefined {
  if (typeof stored !== 'string') return undefined;
  const match = CONTAINER.exec(stored);
  if (match === null) return undefined;
  const acquireTimeMicros = parseMicroTime(match[3]);
  if (acquireTimeMicros === null) return undefined;
  return {
    holderIdentity: match[1]!,
    transitions: Number(match[2]),
    acquireTimeMicros,
    podUid: match[4]!,
    containerName: match[5]!,
    containerId: match[6]!,
  };
}

/** `<identity>/4/<acquire time>/http://10.1.2.3:3000`; what comes last has no slash but those of its scheme. */
const ADDRESS = /^(.+)\/(\d{1,10})\/([^/]+)\/(https?:\/\/[^/]{1,300})$/s;

export function formatAddress({ address }: Pick<LeaseRecord, 'address'>): string | null {
  if (address === undefined) return null;
  const { url, holderIdentity, transitions, acquireTimeMicros } = address;
  return `${holderIdentity}/${transitions}/${formatMicroTime(acquireTimeMicros)}/${url}`;
}

export function parseAddress(stored: unknown): HoldersAddress | undefined {
  const match = typeof stored === 'string' ? ADDRESS.exec(stored) : null;
  const acquireTimeMicros = parseMicroTime(match?.[3]);
  if (match === null || acquireTimeMicros === null) return undefined;
  return {
    url: match[4]!,
    holderIdentity: match[1]!,
    transitions: Number(match[2]),
    acquireTimeMicros,
  };
}

/** A request is written by people, too: fields that are missing or too long make it none at all (R27). */
const LONGEST_ID = 64;
const LONGEST_TEXT = 1_024;

/** `{"id":"k3f9","ask":"step-down","term":4,"holder":"pod-a_…","by":"anna@laptop","to":"pod-b"}` */
export function formatRequest({ request }: Pick<LeaseRecord, 'request'>): string | null {
  if (request === undefined) return null;
  const { id, asks, transitions, holderIdentity, by, successor } = request;
  return JSON.stringify({
    id,
    ask: asks,
    term: transitions,
    holder: holderIdentity,
    by,
    to: successor,
  });
}

export function parseRequest(stored: unknown): LeaderRequest | undefined {
  const fields = typeof stored === 'string' ? parseDocument(stored) : undefined;
  if (fields === undefined) return undefined;
  const { id, ask, term, holder, by, to } = fields;
  if (!isText(id, LONGEST_ID) || !isText(holder, LONGEST_TEXT) || !isTerm(term)) return undefined;
  if (ask !== 'step-down' && ask !== 'read-schedule') return undefined;
  // Whoever names a member that cannot be read did not mean just any.
  if (to !== undefined && !isText(to, LONGEST_TEXT)) return undefined;
  return {
    id,
    asks: ask,
    transitions: term,
    holderIdentity: holder,
    by: isText(by, LONGEST_TEXT) ? by : undefined,
    successor: to,
  };
}

/** `{"id":"k3f9","term":4,"done":true,"by":"pod-a_…","at":"2026-11-26T23:20:00.000000Z"}`; if not done, with `why`. */
export function formatAnswer({ answer }: Pick<LeaseRecord, 'answer'>): string | null {
  if (answer === undefined) return null;
  const { id, transitions, by, atMicros, refused } = answer;
  const outcome = refused === '' ? { done: true } : { done: false, why: refused };
  return JSON.stringify({ id, term: transitions, ...outcome, by, at: formatMicroTime(atMicros) });
}

export function parseAnswer(stored: unknown): RequestAnswer | undefined {
  const fields = typeof stored === 'string' ? parseDocument(stored) : undefined;
  if (fields === undefined) return undefined;
  const { id, term, done, why, by, at } = fields;
  const atMicros = parseMicroTime(at);
  if (!isText(id, LONGEST_ID) || !isText(by, LONGEST_TEXT) || !isTerm(term)) return undefined;
  if (atMicros === null || typeof done !== 'boolean') return undefined;
  const refused = done ? '' : isText(why, LONGEST_TEXT) ? why : 'no reason was given';
  return { id, transitions: term, by, atMicros, refused };
}

function isText(value: unknown, longest: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= longest;
}

function isTerm(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_INT32;
}
