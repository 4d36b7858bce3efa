import type { ApiObject } from '../control-plane/api-client.js';
import type { AuditEntry } from '../control-plane/audit-log.js';

/** Audit times have whole microseconds, and the wall clock of the machine may be slewed a little. */
const CLOCK_TOLERANCE_MS = 5;
const BUDGET_WINDOW_MS = 10_000;

export interface ApiHistory {
  readonly entries: readonly AuditEntry[];
  /** User name of the replicas; everybody else is people. */
  readonly replicas: string;
  readonly leaseName: string;
  /** Requests that all replicas together may send in ten seconds. */
  readonly budget: number;
}

export interface ApiVerdict {
  readonly violations: readonly string[];
  readonly writes: number;
  /** Takeovers of which the log has the record that was replaced. */
  readonly takeovers: number;
  readonly mostRequestsInTenSeconds: number;
}

/** What the API server's audit log shows of I6, I7 and I8. */
export function checkApiHistory({ entries, replicas, leaseName, budget }: ApiHistory): ApiVerdict {
  const asked = entries.filter(({ user }) => user === replicas);
  const writes = asked.filter(({ verb }) => !['get', 'list', 'watch'].includes(verb));
  const takeovers = takeoversOf(
    entries.filter(({ name }) => name === leaseName),
    replicas,
  );
  const most = mostInWindow(asked);
  return {
    violations: [
      ...writes.flatMap(conditionViolations),
      ...takeovers.flatMap(({ violation }) => violation ?? []),
      ...(most > budget
        ? [
            `I8: the replicas sent ${most} requests within ${BUDGET_WINDOW_MS} ms, more than ${budget}`,
          ]
        : []),
    ],
    writes: writes.length,
    takeovers: takeovers.length,
    mostRequestsInTenSeconds: most,
  };
}

/** I6: a write creates, or it replaces the version that it names by uid and resourceVersion. */
function conditionViolations(entry: AuditEntry): string[] {
  const { verb, name, requestURI, requestObject, code } = entry;
  if (verb === 'create') return [];
  if (verb !== 'update') return [`I6: ${verb} of ${name}: ${requestURI}`];
  // Refused before its body was read, or cut off with its connection.
  if (requestObject === undefined && code !== 200 && code !== 201) return [];
  const { uid, resourceVersion } = requestObject?.metadata ?? {};
  if (uid && resourceVersion) return [];
  return [`I6: an update of ${name} names uid ${uid} and resourceVersion ${resourceVersion}`];
}

interface Takeover {
  readonly violation?: string;
}

interface Version {
  readonly object: ApiObject;
  /** When the server received the request that made the last change of its timing key. */
  readonly keyReceivedAt: number;
}

/** I7: whoever replaces a foreign holder does so no sooner than its lease duration after its last sign of life. */
function takeoversOf(entries: readonly AuditEntry[], replicas: string): Takeover[] {
  const versions = new Map<string, Version>();
  const takeovers: Takeover[] = [];
  for (const entry of inOrderOfWrites(entries)) {
    const { requestObject, responseObject, user, verb } = entry;
    const at = Date.parse(entry.requestReceivedTimestamp);
    const replaced = versions.get(requestObject?.metadata?.resourceVersion ?? '');
    const isSameKey =
      replaced !== undefined && timingKey(replaced.object) === timingKey(responseObject!);
    const keyReceivedAt = isSameKey ? replaced.keyReceivedAt : at;
    versions.set(responseObject!.metadata!.resourceVersion!, {
      object: responseObject!,
      keyReceivedAt,
    });
    if (user !== replicas || verb !== 'update' || replaced === undefined) continue;
    const holder = holderOf(replaced.object);
    const taker = holderOf(responseObject!);
    if (holder === '' || taker === '' || holder === taker) continue;
    const durationMs = Number(replaced.object.spec?.['leaseDurationSeconds']) * 1_000;
    const waitedMs = at - replaced.keyReceivedAt;
    takeovers.push(
      waitedMs + CLOCK_TOLERANCE_MS >= durationMs
        ? {}
        : {
            violation: `I7: ${taker} replaced ${holder} after ${waitedMs} ms of a lease of ${durationMs} ms`,
          },
    );
  }
  return takeovers;
}

function inOrderOfWrites(entries: readonly AuditEntry[]): AuditEntry[] {
  const versionOf = ({ responseObject }: AuditEntry) =>
    BigInt(responseObject?.metadata?.resourceVersion ?? 0);
  return entries
    .filter((entry) => (entry.code === 200 || entry.code === 201) && entry.verb !== 'delete')
    .filter((entry) => versionOf(entry) > 0n)
    .sort((a, b) => (versionOf(a) < versionOf(b) ? -1 : 1));
}

function holderOf({ spec = {} }: ApiObject): string {
  const { holderIdentity } = spec;
  return typeof holderIdentity === 'string' ? holderIdentity : '';
}

function timingKey({ metadata, spec = {} }: ApiObject): string {
  const { holderIdentity, renewTime, acquireTime, leaseDurationSeconds, leaseTransitions } = spec;
  const key = [holderIdentity, renewTime, acquireTime, leaseDurationSeconds, leaseTransitions];
  return JSON.stringify([metadata?.uid, ...key]);
}

function mostInWindow(entries: readonly AuditEntry[]): number {
  const times = entries
    .map((entry) => Date.parse(entry.requestReceivedTimestamp))
    .sort((a, b) => a - b);
  let most = 0;
  let from = 0;
  times.forEach((time, index) => {
    while (times[from]! < time - BUDGET_WINDOW_MS) from += 1;
    most = Math.max(most, index - from + 1);
  });
  return most;
}
