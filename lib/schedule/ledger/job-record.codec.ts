import { isJsonObject, type JsonDocument } from '../../core/json-document.js';
import type {
  ActiveRun,
  FailedRun,
  FleetSwitch,
  JobRecord,
  MissedReason,
  PastOutcome,
  PastRun,
  PendingRetry,
  RunCancellation,
  TriggerAnswer,
  TriggerRequest,
  TriggerState,
  UntoldReport,
} from './job-record.js';

/**
 * Times in the stored document: ISO 8601, so that people can read them. A list is its first time, then the steps from
 * each to the next in seconds, `[step, n]` for n equal ones: the hundred ticks that a job missed in an outage take as
 * much room as one.
 */
export type PrintedTimes = readonly (string | number | readonly [number, number])[];

/** More than any version lists: a hand edit must not make an endless list. */
const MOST_TIMES = 10_000;

/**
 * The years that a calendar computes with. A time outside of them is a hand edit (Go's zero time is in the year 1),
 * from where a search for the next tick would be endless or find none.
 */
const ISO_TIME = /^(19[7-9]\d|[2-9]\d{3})-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/** Undefined if the value is not a time. */
export function parseTime(value: unknown): number | undefined {
  if (typeof value !== 'string' || !ISO_TIME.test(value)) return undefined;
  const time = Date.parse(value);
  return Number.isNaN(time) ? undefined : time;
}

export function printTime(time: number): string {
  return new Date(time).toISOString().replace('.000Z', 'Z');
}

/** `times` ascending. */
export function printTimes(times: readonly number[]): PrintedTimes {
  const printed: (string | number | [number, number])[] = [];
  times.forEach((time, index) => {
    const before = times[index - 1];
    if (before === undefined) return void printed.push(printTime(time));
    const step = (time - before) / 1_000;
    const last = printed.at(-1);
    if (last === step) printed[printed.length - 1] = [step, 2];
    else if (Array.isArray(last) && last[0] === step) last[1] += 1;
    else printed.push(step);
  });
  return printed;
}

/** Undefined if the value is not a list of times, or is empty. A plain list of times is valid, too. */
export function parseTimes(value: unknown): number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const times: number[] = [];
  for (const each of value as unknown[]) {
    const more = following(times.at(-1), each, MOST_TIMES - times.length);
    if (more === undefined) return undefined;
    times.push(...more);
  }
  return times.length === 0 ? undefined : times;
}

function following(last: number | undefined, written: unknown, room: number): number[] | undefined {
  const time = parseTime(written);
  if (time !== undefined) return room > 0 ? [time] : undefined;
  if (last === undefined || isJsonObject(written)) return undefined;
  const [step, count] = (Array.isArray(written) ? written : [written, 1]) as unknown[];
  if (typeof step !== 'number' || !Number.isInteger(count)) return undefined;
  if ((count as number) < 1 || (count as number) > room) return undefined;
  const times = Array.from({ length: count as number }, (_, index) =>
    Math.round(last + (index + 1) * step * 1_000),
  );
  return times.every(isTime) ? times : undefined;
}

function isTime(time: number): boolean {
  return !Number.isNaN(new Date(time).getTime());
}

/**
 * The newest format this version reads, of a document and of a record. A version that changes the meaning of a field,
 * or adds one that must not be overlooked, writes a larger number. Fields that may be overlooked need none, as every
 * reader writes back what it does not know.
 *
 * 1 (no number): every field is written, and times are listed one by one. 2: fields with their default are left out,
 * and times are listed by their steps.
 */
export const FORMAT = 2;

/**
 * Of a record that has moved to another object of its role, `movedTo`. Versions that know of one object alone leave it as
 * it is, and do not run the job.
 */
const MOVED_FORMAT = 3;

/** Over so many objects a role can be spread. */
const MOST_OBJECTS = 16;

const REASONS: readonly MissedReason[] = ['not-started', 'forbidden', 'interrupted'];
const OUTCOMES: readonly PastOutcome[] = ['succeeded', 'failed', 'cancelled', 'interrupted'];
/** Of an answer, where they are stored. */
const STATES: readonly TriggerState[] = ['started', 'not-started', ...OUTCOMES];

/** Why a stored record decides nothing; undefined if it can be read. */
export function recordFault(stored: unknown): string | undefined {
  if (!isJsonObject(stored)) return 'its record is not a JSON object';
  const newer = movedTo(stored) === undefined ? formatFault(stored) : undefined;
  if (newer !== undefined) return `its record ${newer}`;
  if (parseTime(stored['accountedThrough']) === undefined) {
    return 'its record does not say up to which tick it accounts for (accountedThrough)';
  }
  const isText = stored['schedule'] === undefined || typeof stored['schedule'] === 'string';
  if (!isText) return 'the schedule in its record is not a string';
  if (!isUnderstood('suspension', stored['suspension'])) {
    return 'its record does not say whether it is suspended (suspension)';
  }
  const broken = ['active', 'untold'].find((key) => !isUnderstood(key, stored[key]));
  return broken === undefined ? undefined : `${broken} in its record is not a list`;
}

/** Why this version cannot read a document or record; undefined if it can. */
export function formatFault({ format = 1 }: JsonDocument): string | undefined {
  if (typeof format === 'number' && Number.isInteger(format) && format >= 1 && format <= FORMAT) {
    return undefined;
  }
  return `has format ${JSON.stringify(format)}, and this version of the library reads up to ${FORMAT}`;
}

function movedTo({ format, movedTo: object }: JsonDocument): number | undefined {
  if (format !== MOVED_FORMAT || typeof object !== 'number') return undefined;
  return Number.isInteger(object) && object > 0 && object < MOST_OBJECTS ? object : undefined;
}

/** Reads a stored record that has no {@link recordFault}. */
export function readRecord(source: JsonDocument): JobRecord {
  const object = movedTo(source);
  return {
    ...(object !== undefined && { movedTo: object }),
    schedule: readText(source['schedule']),
    accountedThrough: parseTime(source['accountedThrough'])!,
    claimNonce: readText(source['claim']),
    returned: readList(source['returned']).filter((nonce) => typeof nonce === 'string'),
    lastScheduleTime: readTime(source['lastScheduleTime']),
    lastSuccessfulTime: readTime(source['lastSuccessfulTime']),
    lastFailed: readFailure(source['lastFailed']),
    missedCount: readCount(source['missedCount']),
    lastMissedTime: readTime(source['lastMissedTime']),
    active: readList(source['active']).flatMap((run) => readActive(run) ?? []),
    retries: readList(source['retries']).flatMap((retry) => readRetry(retry) ?? []),
    untold: readList(source['untold']).flatMap((report) => readUntold(report) ?? []),
    history: readList(source['history']).flatMap((run) => readPast(run) ?? []),
    fleetSwitch: readSwitch(source['suspension']),
    unknownSince: readTime(source['unknownSince']),
    ...triggersOf(source),
    source,
  };
}

/** The record as it is stored: unknown fields are kept, and empty ones are left out. */
export function printRecord(record: JobRecord): JsonDocument {
  const { source = {} } = record;
  const known: Record<string, unknown> = {
    schedule: record.schedule,
    accountedThrough: printTime(record.accountedThrough),
    claim: record.claimNonce === '' ? undefined : record.claimNonce,
    returned: printList(record.returned),
    lastScheduleTime: timeOrNothing(record.lastScheduleTime),
    lastSuccessfulTime: timeOrNothing(record.lastSuccessfulTime),
    lastFailed: record.lastFailed === null ? undefined : printFailure(record.lastFailed),
    missedCount: record.missedCount === 0 ? undefined : record.missedCount,
    lastMissedTime: timeOrNothing(record.lastMissedTime),
    active: printList([
      ...readList(source['active']).filter((run) => readActive(run) === undefined),
      ...record.active.map(printActive),
    ]),
    retries: printList([
      ...readList(source['retries']).filter((retry) => readRetry(retry) === undefined),
      ...record.retries.map(printRetry),
    ]),
    untold: printList([
      ...readList(source['untold']).filter((report) => readUntold(report) === undefined),
      ...record.untold.map(printUntold),
    ]),
    history: printList([
      ...readList(source['history']).filter((run) => readPast(run) === undefined),
      ...record.history.map(printPast),
    ]),
    suspension: record.fleetSwitch === null ? undefined : printSwitch(record.fleetSwitch),
    unknownSince: timeOrNothing(record.unknownSince),
    trigger: record.trigger === undefined ? undefined : printTrigger(record.trigger),
    triggered: record.triggered === undefined ? undefined : printTriggered(record.triggered),
  };
  const place =
    record.movedTo === undefined ? {} : { format: MOVED_FORMAT, movedTo: record.movedTo };
  const printed: Record<string, unknown> = { ...source, ...place };
  for (const [key, value] of Object.entries(known)) {
    if (value !== undefined) printed[key] = value;
    else if (isUnderstood(key, printed[key])) delete printed[key];
  }
  return printed;
}

/** False for a value in a known field that this version cannot have written. */
function isUnderstood(key: string, value: unknown): boolean {
  if (value === undefined || value === null) return true;
  switch (key) {
    case 'claim':
      return typeof value === 'string';
    case 'returned':
    case 'active':
    case 'retries':
    case 'untold':
    case 'history':
      return Array.isArray(value);
    case 'missedCount':
      return readCount(value) === value;
    case 'suspension':
      return readSwitch(value) !== null;
    case 'trigger':
      return readTrigger(value) !== undefined;
    case 'triggered':
      return readTriggered(value) !== undefined;
    case 'lastFailed':
      return readFailure(value) !== null;
    default:
      return parseTime(value) !== undefined;
  }
}

function readActive(value: unknown): ActiveRun | undefined {
  if (!isJsonObject(value)) return undefined;
  const scheduledTime = parseTime(value['scheduledTime']);
  const id = readText(value['run']);
  if (scheduledTime === undefined || id === '') return undefined;
  return {
    id,
    scheduledTime,
    startedAt: parseTime(value['startedAt']) ?? scheduledTime,
    term: readCount(value['term']),
    fencingToken: readText(value['fencingToken']),
    holderIdentity: readText(value['holderIdentity']),
    ...(value['isTriggered'] === true && { isTriggered: true }),
    ...laterAttempt(value),
    ...cancellationOf(value),
    source: value,
  };
}

/** The first attempt of a run is not written. */
function laterAttempt({ attempt }: JsonDocument): { readonly attempt?: number } {
  return isLaterAttempt(attempt) ? { attempt } : {};
}

function isLaterAttempt(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 2;
}

function printActive({ source, id, cancellation, ...run }: ActiveRun): JsonDocument {
  return {
    ...source,
    run: id,
    ...run,
    scheduledTime: printTime(run.scheduledTime),
    startedAt: printTime(run.startedAt),
    ...(cancellation !== undefined && { cancellation: printCancellation(cancellation) }),
  };
}

/** One that this version cannot read cancels nothing, and stays as it is. */
function cancellationOf({
  cancellation: value,
}: JsonDocument): Pick<ActiveRun, 'cancellation'> | undefined {
  const at = isJsonObject(value) ? parseTime(value['at']) : undefined;
  if (!isJsonObject(value) || at === undefined) return undefined;
  const { by, reason } = value;
  return { cancellation: { at, by: readText(by), reason: readText(reason), source: value } };
}

function printCancellation({ source, at, by, reason }: RunCancellation): JsonDocument {
  return { ...source, at: printTime(at), by, ...(reason !== '' && { reason }) };
}

function readRetry(value: unknown): PendingRetry | undefined {
  if (!isJsonObject(value)) return undefined;
  const { attempt, notAfter: written = null } = value;
  const scheduledTime = parseTime(value['scheduledTime']);
  const notBefore = parseTime(value['notBefore']);
  const notAfter = readTime(written);
  if (scheduledTime === undefined || notBefore === undefined) return undefined;
  if (!isLaterAttempt(attempt) || (written !== null && notAfter === null)) return undefined;
  return {
    scheduledTime,
    attempt,
    notBefore,
    notAfter,
    isRerun: value['isRerun'] === true,
    returned: readList(value['returned']).filter((run) => typeof run === 'string'),
    source: value,
  };
}

function printRetry({ source, ...retry }: PendingRetry): JsonDocument {
  const { scheduledTime, attempt, notBefore, notAfter, isRerun, returned } = retry;
  return {
    ...source,
    scheduledTime: printTime(scheduledTime),
    attempt,
    notBefore: printTime(notBefore),
    ...(notAfter !== null && { notAfter: printTime(notAfter) }),
    ...(isRerun && { isRerun }),
    ...(returned.length > 0 && { returned }),
  };
}

function readUntold(value: unknown): UntoldReport | undefined {
  if (!isJsonObject(value)) return undefined;
  const id = readText(value['claim']);
  const times = parseTimes(value['times']);
  const reason = REASONS.find((each) => each === value['reason']);
  if (id === '' || reason === undefined || times === undefined) return undefined;
  return { id, reason, times, isCapped: value['isCapped'] === true, source: value };
}

function printUntold({ source, id, reason, times, isCapped }: UntoldReport): JsonDocument {
  const printed = { ...source, claim: id, reason, times: printTimes(times) };
  return isCapped ? { ...printed, isCapped } : printed;
}

/** What most runs have in common is left out, and times are relative, as there are ten of them for each job. */
function readPast(value: unknown): PastRun | undefined {
  if (!isJsonObject(value)) return undefined;
  const { delayMs, durationMs, outcome: written = 'succeeded' } = value;
  const scheduledTime = parseTime(value['scheduledTime']);
  const outcome = OUTCOMES.find((each) => each === written);
  if (scheduledTime === undefined || outcome === undefined) return undefined;
  if (!Number.isSafeInteger(delayMs) || !Number.isSafeInteger(durationMs)) return undefined;
  const startedAt = scheduledTime + (delayMs as number);
  const endedAt = startedAt + (durationMs as number);
  if (!isTime(startedAt) || !isTime(endedAt)) return undefined;
  return {
    scheduledTime,
    startedAt,
    endedAt,
    term: readCount(value['term']),
    holderIdentity: readText(value['holderIdentity']),
    ...(value['isTriggered'] === true && { isTriggered: true }),
    ...laterAttempt(value),
    outcome,
    reason: readText(value['reason']),
    ...cancellationOf(value),
    source: value,
  };
}

function printPast({ source, ...run }: PastRun): JsonDocument {
  const { scheduledTime, startedAt, endedAt, term, holderIdentity, cancellation } = run;
  return {
    ...source,
    scheduledTime: printTime(scheduledTime),
    delayMs: startedAt - scheduledTime,
    durationMs: endedAt - startedAt,
    term,
    holderIdentity,
    ...(run.isTriggered === true && { isTriggered: true }),
    ...(run.attempt !== undefined && { attempt: run.attempt }),
    ...(run.outcome !== 'succeeded' && { outcome: run.outcome }),
    ...(run.reason !== '' && { reason: run.reason }),
    ...(cancellation !== undefined && { cancellation: printCancellation(cancellation) }),
  };
}

function readSwitch(value: unknown): FleetSwitch | null {
  if (!isJsonObject(value)) return null;
  const { isSuspended, liftsOption } = value;
  const at = parseTime(value['at']);
  if (typeof isSuspended !== 'boolean' || at === undefined) return null;
  return {
    isSuspended,
    at,
    by: readText(value['by']),
    reason: readText(value['reason']),
    liftsOption: liftsOption === true,
    source: value,
  };
}

function printSwitch({
  source,
  isSuspended,
  at,
  by,
  reason,
  liftsOption,
}: FleetSwitch): JsonDocument {
  const { reason: _reason, liftsOption: _liftsOption, ...rest } = source ?? {};
  return {
    ...rest,
    isSuspended,
    at: printTime(at),
    by,
    ...(reason !== '' && { reason }),
    ...(liftsOption && { liftsOption }),
  };
}

function triggersOf({
  trigger: asked,
  triggered: answered,
}: JsonDocument): Pick<JobRecord, 'trigger' | 'triggered'> {
  const trigger = readTrigger(asked);
  const triggered = readTriggered(answered);
  return { ...(trigger && { trigger }), ...(triggered && { triggered }) };
}

/** One that this version cannot read starts nothing, and stays as it is. */
function readTrigger(value: unknown): TriggerRequest | undefined {
  if (!isJsonObject(value)) return undefined;
  const id = readText(value['id']);
  const at = parseTime(value['at']);
  const notAfter = parseTime(value['notAfter']);
  if (id === '' || at === undefined || notAfter === undefined) return undefined;
  return { id, at, by: readText(value['by']), notAfter, source: value };
}

function printTrigger({ source, id, at, by, notAfter }: TriggerRequest): JsonDocument {
  return { ...source, id, at: printTime(at), by, notAfter: printTime(notAfter) };
}

function readTriggered(value: unknown): TriggerAnswer | undefined {
  if (!isJsonObject(value)) return undefined;
  const id = readText(value['id']);
  const at = parseTime(value['at']);
  if (id === '' || at === undefined) return undefined;
  const [by, run, refused] = [value['by'], value['run'], value['refused']].map(readText);
  const known = STATES.find((each) => each === value['state']) ?? 'claimed';
  const state = run === '' ? 'refused' : known;
  return { id, at, by: by!, state, run: run!, refused: refused!, source: value };
}

/** A state that a later version has written is kept with the answer that it belongs to. */
function printTriggered({ source, id, at, by, state, run, refused }: TriggerAnswer): JsonDocument {
  const { run: _run, refused: _refused, state: written, ...rest } = source ?? {};
  const isUnknown = state === 'claimed' && written !== undefined;
  const stored = STATES.includes(state) ? state : isUnknown ? written : undefined;
  return {
    ...rest,
    id,
    at: printTime(at),
    by,
    ...(run !== '' && { run }),
    ...(stored !== undefined && { state: stored }),
    ...((run === '' || refused !== '') && { refused }),
  };
}

function readFailure(value: unknown): FailedRun | null {
  if (!isJsonObject(value)) return null;
  const scheduledTime = parseTime(value['scheduledTime']);
  const at = parseTime(value['at']);
  if (scheduledTime === undefined || at === undefined) return null;
  return { scheduledTime, at, reason: readText(value['reason']), source: value };
}

function printFailure({ source, scheduledTime, at, reason }: FailedRun): JsonDocument {
  return { ...source, scheduledTime: printTime(scheduledTime), at: printTime(at), reason };
}

function printList(list: readonly unknown[]): readonly unknown[] | undefined {
  return list.length === 0 ? undefined : list;
}

function timeOrNothing(time: number | null): string | undefined {
  return time === null ? undefined : printTime(time);
}

function readList(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function readText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function readCount(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

function readTime(value: unknown): number | null {
  return parseTime(value) ?? null;
}
