import type { AuditEntry } from '../control-plane/audit-log.js';
import type { CandidatesReport, Following } from './crowd-process.js';

/** What one handover, or the start, has cost all candidates together, by the audit log. */
export interface HandoverCost {
  /** Those that the server refused: nearly all conflicted. */
  readonly wastedWrites: number;
  readonly reads: number;
  /** From the order to step down to the next grant; undefined for the start. */
  readonly tookMs: number | undefined;
  /** From that order until the last of the others has heard who leads; undefined where not all have, or do not say so. */
  readonly knownMs: number | undefined;
  /** Whom the release named has followed; undefined where it named nobody. */
  readonly cameAsNamed: boolean | undefined;
}

/** Lasts until the next one begins. */
export interface HandoverInterval {
  readonly from: Date;
  /** Undefined for the start. */
  readonly handover?: Handover;
}

interface Handover {
  /** When its leader was told to step down. */
  readonly since: number;
  readonly granted: Pick<CandidatesReport, 'identity' | 'at'>;
  readonly named: string | undefined;
}

/** Of entries of one Lease, and of all that its candidates have told. */
export function handoverCosts(
  intervals: readonly HandoverInterval[],
  entries: readonly AuditEntry[],
  { follows, candidates }: { readonly follows: readonly Following[]; readonly candidates: number },
): HandoverCost[] {
  return intervals.map(({ from, handover }, index) => {
    const to = intervals[index + 1]?.from.getTime() ?? Infinity;
    const within = entries.filter(({ requestReceivedTimestamp }) => {
      const at = new Date(requestReceivedTimestamp).getTime();
      return at >= from.getTime() && at < to;
    });
    const { named } = handover ?? {};
    return {
      wastedWrites: within.filter(isWastedWrite).length,
      reads: within.filter(({ verb }) => verb === 'get' || verb === 'list').length,
      tookMs: handover && handover.granted.at - handover.since,
      knownMs: handover && knownMs(handover, follows, candidates),
      cameAsNamed: named === undefined ? undefined : handover?.granted.identity === named,
    };
  });
}

function knownMs(
  { since, granted }: Handover,
  follows: readonly Following[],
  candidates: number,
): number | undefined {
  const heard = new Map<string, number>();
  for (const { identity, leader, at } of follows) {
    if (at < since || leader !== granted.identity || identity === leader) continue;
    heard.set(identity, Math.min(at, heard.get(identity) ?? Infinity));
  }
  return heard.size < candidates - 1 ? undefined : Math.max(...heard.values()) - since;
}

function isWastedWrite({ verb, code }: AuditEntry): boolean {
  return (verb === 'create' || verb === 'update' || verb === 'patch') && code >= 400;
}
