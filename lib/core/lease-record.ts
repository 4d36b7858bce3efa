import type { ContainerMark } from './container.js';
import type { LeaseAlteration } from './errors.js';

/**
 * The neutral lease record that every lock stores. Spelling follows `coordination.k8s.io/v1` LeaseSpec. Times are
 * whole microseconds since the epoch, the resolution of the API's MicroTime; they are written for people and for
 * {@link ObservedLease.timingKey} and are never compared with a clock (R1, R5).
 */
export interface LeaseRecord {
  /** Empty: no process holds the lease. */
  readonly holderIdentity: string;
  /** Null when the stored value is absent or makes no sense (R17). */
  readonly leaseDurationSeconds: number | null;
  /** When the holder acquired the lease, by its wall clock; null when absent or unreadable. */
  readonly acquireTimeMicros: number | null;
  /** When the holder last renewed it, by its wall clock; null when absent or unreadable. */
  readonly renewTimeMicros: number | null;
  /** How many acquisitions there were: the number of the holder's term. */
  readonly leaseTransitions: number;
  /**
   * The transitions of the term that released the lease on purpose, after its work had ended. Valid only while it
   * equals `leaseTransitions`; a hand edit that empties the holder leaves it behind (R13).
   */
  readonly releasedTransitions: number | null;
  /** Which application the holder belongs to, for people; absent where the holder does not say it. */
  readonly application?: string | undefined;
  /** Which member the holder is, where members are known by something else than their identity (R23). */
  readonly memberUid?: string | undefined;
  /** How many compete and how long a step takes; absent where no holder has said so, or nonsense (R22). */
  readonly crowd?: Crowd | undefined;
  /** Whom the release names to follow; valid under the conditions of {@link successorOf} alone (R23). */
  readonly successor?: NamedSuccessor | undefined;
  /** Who has given up in this term or in the one before; valid by {@link gaveUpOf} alone (R25). */
  readonly gaveUp?: GivenUp | undefined;
  /** In which container a holder runs, where one has said so; of the present holder by {@link containerOf} alone (R24). */
  readonly container?: HoldersContainer | undefined;
  /** Where a holder answers requests, where one has said so; of the present holder by `leaderAddressOf()` alone. */
  readonly address?: HoldersAddress | undefined;
  /** What a person asks the leader for; of the present term by `requestOf()` alone. No holder's record has one (R27). */
  readonly request?: LeaderRequest | undefined;
  /** What came of the last request in this term or in the one before (R27). */
  readonly answer?: RequestAnswer | undefined;
  /** The API server is to choose the holder; no record of ours says so, and what is stored stays (R17). */
  readonly coordination?: Coordination | undefined;
}

/** Coordinated leader election, as the API server does it for those of its clients that ask for it. */
export interface Coordination {
  /** How it chooses. Without it there is no coordination, and the API server accepts no preferred holder. */
  readonly strategy: string;
  /** Whom it has chosen to follow the present holder. */
  readonly preferredHolder?: string | undefined;
}

/** What a holder has learned of those who compete, so that each handover finds the right window (R22). */
export interface Crowd {
  /** Candidates: an estimate, no whole number, or where the members are known how many there are; 1 to 4,000. */
  readonly candidates: number;
  /** From sending a renewal to hearing of it by the own watch, in milliseconds, smoothed; at least 4. */
  readonly stepMs: number;
}

export interface NamedSuccessor {
  /** The term whose release this is: a name that other clients have kept on a later record counts for nothing. */
  readonly transitions: number;
  /** Of the member: that of its pod, or otherwise its identity. */
  readonly uid: string;
}

/** A member ended its term as it was unfit to lead, or as a handler failed. */
export interface GivenUp {
  /** Of the term that it ended. */
  readonly transitions: number;
  /** Of the member: that of its pod, or otherwise its identity. */
  readonly uid: string;
  /** How often it has given up by now, as far as it knows. At least 1. */
  readonly count: number;
}

/**
 * Which acquisition a mark is about. Other clients, and older versions of this library, write back what they do not
 * understand, so a record may carry the mark of an earlier one: see {@link isOfAcquisition}.
 */
interface AcquisitionMark {
  /** Who has acquired the lease. */
  readonly holderIdentity: string;
  /** Of the record with that acquisition: its term. */
  readonly transitions: number;
  /** Of that acquisition, as the record says it. */
  readonly acquireTimeMicros: number;
}

/** The container of one acquisition, which counts for nothing on a later record. */
export interface HoldersContainer extends ContainerMark, AcquisitionMark {}

/** The address of one acquisition, which counts for nothing on a later record. */
export interface HoldersAddress extends AcquisitionMark {
  /** Scheme, host and port: `http://10.1.2.3:3000`. */
  readonly url: string;
}

/** A request to the leader of one term, written by a person or the command line (R27). */
export interface LeaderRequest {
  /** Distinguishes it from every other one. */
  readonly id: string;
  /**
   * What for. `step-down`: to hand over. `read-schedule`: to read what others have written beside the lease, for
   * `@LeaderCron` jobs.
   */
  readonly asks: 'step-down' | 'read-schedule';
  /** The term that it was written for; of any other it is void. */
  readonly transitions: number;
  /** Who holds the lease in that term. */
  readonly holderIdentity: string;
  /** Who asks, for the log; undefined if that was not said. */
  readonly by?: string | undefined;
  /** The name of the member that is to follow; undefined: whoever comes first. */
  readonly successor?: string | undefined;
}

/** What a leader did about a request. */
export interface RequestAnswer {
  /** Of the request. */
  readonly id: string;
  /** The term in which it was answered. */
  readonly transitions: number;
  /** The identity of that leader. */
  readonly by: string;
  /** By its wall clock. */
  readonly atMicros: number;
  /** Why it did not do what it was asked for; empty if it did. */
  readonly refused: string;
}

/** One representation of the lock's object, as a read, a write or a watch returned it. */
export interface ObservedLease {
  /** What the object says. */
  readonly record: LeaseRecord;
  /** Changes when the object is deleted and made again. */
  readonly uid: string;
  /**
   * Grows with every write of the object, also over delete and re-create (Kubernetes: resourceVersion). Orders
   * representations, is the expectation of a compare-and-set and the fencing token of a term.
   */
  readonly revision: bigint;
  /**
   * Equal for two representations exactly if no process acquired, renewed or released in between. Built from the stored
   * text of holder, times, duration and transitions with the uid, at full resolution, so that neither an edit of a
   * label nor a time this library cannot parse is mistaken for the other (H2).
   */
  readonly timingKey: string;
  /** The whole stored object, for the lock that made this: what it does not understand it writes back (R6). */
  readonly source?: unknown;
}

/** What excludes others goes by these. The rest is for people, or only changes who comes first. */
const DECISIVE_FIELDS = [
  'holderIdentity',
  'leaseDurationSeconds',
  'acquireTimeMicros',
  'renewTimeMicros',
  'leaseTransitions',
  'releasedTransitions',
] as const satisfies readonly (keyof LeaseRecord)[];

/** The fields of a record that are stored otherwise than they were sent. */
export function alterations(sent: LeaseRecord, stored: LeaseRecord): LeaseAlteration[] {
  return DECISIVE_FIELDS.filter((field) => sent[field] !== stored[field]).map((field) => ({
    field,
    sent: sent[field],
    stored: stored[field],
  }));
}

/**
 * What a record is written for.
 * - `hold`: to acquire or to renew.
 * - `release`: the term was granted and has ended. The shape is that of client-go's release, so that its peers take over
 *   at once.
 * - `give-back`: the term was never granted. Former believers may be left, so it must not look like a release (R13).
 */
export type RecordPurpose = 'hold' | 'release' | 'give-back';

/** The term that a record is about. */
export interface RecordedTerm {
  readonly term: number;
  readonly acquireTimeMicros: number;
  readonly renewTimeMicros: number;
  readonly crowd?: Crowd | undefined;
  /** Whom a release names; nothing but a release does (R23). */
  readonly successorUid?: string | null;
  readonly gaveUp?: GivenUp | undefined;
  /** Only a holder that knows it by a read since its acquisition writes it (R24). */
  readonly container?: ContainerMark | null;
  readonly answer?: RequestAnswer | null;
}

interface RecordAuthor {
  readonly identity: string;
  readonly application?: string | undefined;
  readonly memberUid?: string | undefined;
  readonly address?: string | undefined;
  readonly leaseDurationMs: number;
}

/** Makes every record that this process writes. */
export function recordFor(
  purpose: RecordPurpose,
  written: RecordedTerm,
  { identity, application, memberUid, address, leaseDurationMs }: RecordAuthor,
): LeaseRecord {
  const { term, acquireTimeMicros, renewTimeMicros, crowd, successorUid, gaveUp, container } =
    written;
  const answer = written.answer ?? undefined;
  const acquisition = { holderIdentity: identity, transitions: term, acquireTimeMicros };
  const isRelease = purpose === 'release';
  const names = isRelease && successorUid != null;
  return {
    holderIdentity: purpose === 'hold' ? identity : '',
    leaseDurationSeconds: isRelease ? 1 : leaseDurationMs / 1_000,
    acquireTimeMicros: isRelease ? renewTimeMicros : acquireTimeMicros,
    renewTimeMicros,
    leaseTransitions: term,
    releasedTransitions: isRelease ? term : null,
    application: purpose === 'hold' ? application : undefined,
    memberUid: purpose === 'hold' ? memberUid : undefined,
    crowd,
    successor: names ? { transitions: term, uid: successorUid } : undefined,
    gaveUp,
    container:
      purpose === 'hold' && container != null ? { ...container, ...acquisition } : undefined,
    address:
      purpose === 'hold' && address !== undefined ? { url: address, ...acquisition } : undefined,
    answer,
  };
}

/** The numbers in a Lease are int32 in the Kubernetes API. */
export const MAX_INT32 = 2_147_483_647;

/** Every acquisition counts (R12). Starts again at 1 where the API's int32 ends, so that an absurd edit blocks no candidate. */
export function nextTransitions(transitions: number): number {
  return transitions >= MAX_INT32 ? 1 : transitions + 1;
}

/**
 * True if the last holder let go on purpose, after it had stopped: it left our marker, or the shape that client-go's
 * release writes. An empty holder without either was emptied by hand, and the former holder may still believe (R13).
 */
export function isCleanRelease(record: LeaseRecord): boolean {
  if (record.holderIdentity !== '') return false;
  if (record.releasedTransitions === record.leaseTransitions) return true;
  return (
    record.leaseDurationSeconds === 1 &&
    record.acquireTimeMicros !== null &&
    record.acquireTimeMicros === record.renewTimeMicros
  );
}

/**
 * The uid that a directed release names. It must be the release of the very term that wrote the name: other clients, and
 * older versions of this library, write back what they do not understand (R23).
 */
export function successorOf(record: LeaseRecord): string | undefined {
  const { holderIdentity, leaseTransitions, releasedTransitions, successor } = record;
  const isReleased = holderIdentity === '' && releasedTransitions === leaseTransitions;
  return isReleased && successor?.transitions === leaseTransitions ? successor.uid : undefined;
}

/** Who has given up, if it was in the term of this record or in the one before: others may have kept older marks (R25). */
export function gaveUpOf({ gaveUp, leaseTransitions }: LeaseRecord): GivenUp | undefined {
  return gaveUp !== undefined && isOfTermOrBefore(gaveUp, leaseTransitions) ? gaveUp : undefined;
}

/** True if the record is of that acquisition, and its holder still holds the lease. */
export function isOfAcquisition(
  mark: AcquisitionMark | undefined,
  { holderIdentity, leaseTransitions, acquireTimeMicros }: LeaseRecord,
): boolean {
  return (
    holderIdentity !== '' &&
    mark?.holderIdentity === holderIdentity &&
    mark.transitions === leaseTransitions &&
    mark.acquireTimeMicros === acquireTimeMicros
  );
}

/** In which container the present holder runs: that of a former one says nothing about it (R24). */
export function containerOf(record: LeaseRecord): ContainerMark | undefined {
  const { container } = record;
  return isOfAcquisition(container, record) ? container : undefined;
}

export function isOfTermOrBefore(
  { transitions }: Pick<GivenUp, 'transitions'>,
  term: number,
): boolean {
  return transitions === term || nextTransitions(transitions) === term;
}
