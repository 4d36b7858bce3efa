import { setTimeout as pause } from 'node:timers/promises';
import { isJsonObject, partOf } from '../core/json-document.js';
import { LockRequestError } from '../core/errors.js';
import type { LeaseRecord } from '../core/lease-record.js';
import type { LeaseWatch, ResourceLock } from '../core/resource-lock.js';
import { failedRequest, FleetError } from '../fleet/fleet-error.js';
import { holderOf, readLease } from '../fleet/leader-requests.js';
import { collectionPath, leaseAddress, podAddress } from '../kubernetes/object-request.js';
import { localFileSystem } from '../locks/file/system-call-failure.js';
import { DOCUMENT_ANNOTATION } from '../locks/kubernetes/lease-store.js';
import { isReady } from '../members/pod.js';
import type { JobRecord } from '../schedule/ledger/job-record.js';
import {
  type Command,
  type CommandCall,
  CommandError,
  EXIT,
  isSet,
  textOf,
  UsageError,
} from './command.js';
import {
  clusterOptions,
  CONNECTION_OPTIONS,
  leaseDirectoryOf,
  leaseNameOf,
  lockFactoryOf,
  operatorName,
  podEnvironmentOf,
} from './connection.js';
import { bodyOf, ClusterApi } from './doctor/cluster-api.js';
import { leaseAge, msOf } from './lease-times.js';
import { duration, table } from './output.js';
import { withFleetJobs } from './schedule/fleet.js';

const ANNOTATIONS = 'nestjs-leader-election/';
const LOOK_MS = 2_000;
const SILENCE_LIMIT_MS = 60_000;
const LIMIT_MS = 5_000;
const TITLES = [
  'LEASE',
  'LEADER',
  'TERM',
  'SINCE',
  'VALID',
  'COMPETE',
  'PODS',
  'LAST TICK',
  'MISSED',
];

/** One lease as it stands. Times are those of the wall clock of whoever wrote them. */
interface LeaseStatus {
  readonly lease: string;
  /** Undefined: there is no such lease. */
  readonly record: LeaseRecord | undefined;
  /** Undefined if they cannot be read. */
  readonly jobs: ReadonlyMap<string, JobRecord | undefined> | undefined;
  readonly members: Members | undefined;
  /** What could not be read, and why. */
  readonly problem: string | undefined;
}

interface Members {
  readonly ready: number;
  readonly all: number;
}

export const STATUS: Command = {
  name: 'status',
  summary: 'Say who leads each role, since when, and how its jobs are.',
  usage: '[--lease NAME,NAME] [--watch] [options]',
  details:
    'Without --lease these are all leases of the namespace, or of the directory, that this library has written. VALID is what ' +
    'is left of the lease by the wall clocks. COMPETE is how many processes the leader believes to compete. LAST TICK is the ' +
    'latest of its jobs, and MISSED counts their missed ticks. Needs the verb get on the leases, and list to find them.',
  options: {
    ...CONNECTION_OPTIONS,
    lease: { type: 'string', value: 'NAME,NAME', help: 'which leases; default: all' },
    selector: { type: 'string', value: 'LABELS', help: 'of the pods to count, e.g. app=plan' },
    watch: { type: 'boolean', help: 'show it again when it changes, until Ctrl+C' },
  },
  run: async (call) => {
    if (!isSet(call, 'watch')) {
      show(call, await statusOf(call));
      return EXIT.done;
    }
    const stop = new AbortController();
    const end = (): void => stop.abort();
    process.on('SIGINT', end).on('SIGTERM', end);
    try {
      await watchStatus(call, stop.signal, process.stdout.isTTY);
    } finally {
      process.off('SIGINT', end).off('SIGTERM', end);
    }
    return EXIT.done;
  },
};

/** Shows the status again whenever it changes. On a terminal it stays in place, and its times advance. */
export async function watchStatus(
  call: CommandCall,
  signal: AbortSignal,
  isTerminal: boolean,
): Promise<void> {
  let shown = '';
  const watches = new LeaseWatches(call);
  try {
    while (!signal.aborted) {
      const leases = await statusOf(call);
      const facts = JSON.stringify(leases.map(factsOf));
      if (!signal.aborted && (isTerminal || facts !== shown)) {
        if (isTerminal) call.output.say('\u001B[H\u001B[2J');
        show(call, leases);
      }
      shown = facts;
      await watches.changed(leases, signal);
    }
  } finally {
    await watches.close();
  }
}

/** Hears of changes where that is permitted; the status is read again after a while in any case. */
class LeaseWatches {
  private readonly locks = new Map<string, { readonly lock: ResourceLock; watch?: LeaseWatch }>();
  private wake: () => void = () => undefined;

  constructor(private readonly call: CommandCall) {}

  async changed(leases: readonly LeaseStatus[], signal: AbortSignal): Promise<void> {
    const heard = new AbortController();
    this.wake = () => heard.abort();
    for (const { lease } of leases) if (!this.locks.has(lease)) await this.open(lease);
    // Either ends the pause, as it should.
    await pause(LOOK_MS, undefined, { signal: AbortSignal.any([signal, heard.signal]) }).catch(
      () => undefined,
    );
  }

  async close(): Promise<void> {
    for (const { lock, watch } of this.locks.values()) {
      watch?.close();
      await lock.close?.();
    }
  }

  private async open(lease: string): Promise<void> {
    const call = callFor(this.call, lease);
    const lock = await lockOf(call);
    let last: string | undefined;
    const watch = lock.watch?.(
      {
        opened: () => undefined,
        // A renewal alone changes nothing that is shown beside the times.
        changed: (stored) => {
          const now =
            String(stored?.record.leaseTransitions) + String(stored?.record.holderIdentity);
          if (last !== undefined && now !== last) this.wake();
          last = now;
        },
        holderDied: () => this.wake(),
        // Without the right to watch, reading after a while is what remains.
        interrupted: () => undefined,
      },
      { silenceLimitMs: SILENCE_LIMIT_MS },
    );
    this.locks.set(lease, watch === undefined ? { lock } : { lock, watch });
  }
}

async function lockOf(call: CommandCall): Promise<ResourceLock> {
  const requester = { ...leaseNameOf(call), identity: operatorName(call), createLease: false };
  return lockFactoryOf(call)(requester);
}

function callFor(call: CommandCall, lease: string): CommandCall {
  return { ...call, values: { ...call.values, lease } };
}

async function statusOf(call: CommandCall): Promise<readonly LeaseStatus[]> {
  const [names, members] = await Promise.all([leasesOf(call), membersOf(call)]);
  return Promise.all(names.map((lease) => statusOfLease(callFor(call, lease), lease, members)));
}

async function statusOfLease(
  call: CommandCall,
  lease: string,
  members: Members | undefined,
): Promise<LeaseStatus> {
  const lock = await lockOf(call);
  let record: LeaseRecord | undefined;
  try {
    record = (await readLease(lock))?.record;
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    return { lease, record: undefined, jobs: undefined, members, problem: error.message };
  } finally {
    await lock.close?.();
  }
  try {
    const jobs = await withFleetJobs(call, (fleet) => fleet.list());
    return { lease, record, jobs, members, problem: undefined };
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    return { lease, record, jobs: undefined, members, problem: error.message };
  }
}

/** Those that are named, or all that this library has written. */
async function leasesOf(call: CommandCall): Promise<readonly string[]> {
  const lock = textOf(call, 'lock') ?? 'lease';
  const directory = lock === 'file' ? await usableDirectory(call) : undefined;
  const named = textOf(call, 'lease') ?? textOf(call, 'role');
  if (named !== undefined) return named.split(',').filter((name) => name !== '');
  if (directory !== undefined) return leasesOfDirectory(call, directory);
  if (lock !== 'lease') throw new UsageError(`--lock ${lock}: name the leases with --lease`);
  const items = await itemsOf(call, (namespace) => ({
    path: collectionPath(leaseAddress(namespace, '')),
    query: {},
  }));
  return items.flatMap((item) => {
    const { name, annotations = {} } = partOf(item, 'metadata');
    const marks = Object.keys(isJsonObject(annotations) ? annotations : {}).filter((key) =>
      key.startsWith(ANNOTATIONS),
    );
    // What is beside a lease for its jobs is none.
    const isLease = marks.length > 0 && !marks.includes(DOCUMENT_ANNOTATION);
    return isLease && typeof name === 'string' ? [name] : [];
  });
}

/** @throws CommandError or FleetError that says why it is none */
async function usableDirectory(call: CommandCall): Promise<string> {
  const directory = leaseDirectoryOf(call);
  try {
    await directory.prepare();
  } catch (error) {
    throw unreadableDirectory(error);
  }
  return directory.path;
}

function unreadableDirectory(error: unknown): CommandError | FleetError {
  if (error instanceof LockRequestError) return failedRequest(error);
  return new CommandError(`the directory of leases cannot be read: ${(error as Error).message}`);
}

async function leasesOfDirectory(call: CommandCall, path: string): Promise<readonly string[]> {
  let names: readonly string[];
  try {
    names = await localFileSystem.readdir(path);
  } catch (error) {
    throw unreadableDirectory(error);
  }
  const namespace = textOf(call, 'namespace') ?? 'default';
  const leases = names.flatMap((each) => {
    const [, of, lease] = /^([^.~]*)\.([^.~]+)$/.exec(each) ?? [];
    return of !== undefined && lease !== undefined && decodeURIComponent(of) === namespace
      ? [decodeURIComponent(lease)]
      : [];
  });
  return leases.filter((lease) => !leases.some((of) => isBeside(lease, of))).toSorted();
}

function isBeside(lease: string, of: string): boolean {
  return (
    lease.startsWith(`${of}-schedule`) && /^(-\d+)?$/.test(lease.slice(`${of}-schedule`.length))
  );
}

async function membersOf(call: CommandCall): Promise<Members | undefined> {
  const labelSelector = textOf(call, 'selector');
  if (labelSelector === undefined) return undefined;
  const pods = await itemsOf(call, (namespace) => ({
    path: collectionPath(podAddress(namespace)),
    query: { labelSelector },
  }));
  const ready = pods.filter((pod) => isReady(partOf(pod, 'status')));
  return { ready: ready.length, all: pods.length };
}

async function itemsOf(
  call: CommandCall,
  request: (namespace: string) => { path: string; query: Record<string, string> },
): Promise<readonly Record<string, unknown>[]> {
  const pod = podEnvironmentOf(call);
  const requester = {
    leaseName: 'status',
    role: 'status',
    namespace: textOf(call, 'namespace'),
    identity: operatorName(call),
    createLease: false,
  };
  const api = await ClusterApi.open(clusterOptions(call, pod), requester, pod, LIMIT_MS);
  try {
    const { path, query } = request(api.namespace);
    const answer = await api.ask({ method: 'GET', path, query });
    const { items } = bodyOf(answer, 200) ?? {};
    if (Array.isArray(items)) return items.filter(isJsonObject);
    const why =
      answer.kind === 'response' ? `the API server answers ${answer.status}` : 'no answer in time';
    throw new CommandError(
      `GET ${path}: ${why}. It needs the verb list; name the leases with --lease to do without, or ask doctor.`,
      answer.kind === 'response' ? EXIT.refused : EXIT.temporary,
    );
  } finally {
    api.close();
  }
}

function show(call: CommandCall, leases: readonly LeaseStatus[]): void {
  const now = Date.now();
  const { output } = call;
  output.result({ ok: true, leases: leases.map((each) => asJson(each, now)) });
  if (leases.length === 0) {
    output.say('there is no lease that this library has written');
    return;
  }
  output.say(table([TITLES, ...leases.map((each) => row(each, now))]));
  for (const { lease, problem } of leases)
    if (problem !== undefined) output.warn(`${lease}: ${problem}`);
}

/** What has to change for the status to be another one. */
function factsOf({ lease, record, jobs, members, problem }: LeaseStatus): unknown {
  const { holderIdentity, leaseTransitions } = record ?? {};
  const isValid = record !== undefined && (leaseAge(record, Date.now())?.validMs ?? 0) > 0;
  return [lease, holderIdentity, leaseTransitions, isValid, jobs && jobsOf(jobs), members, problem];
}

function row({ lease, record, jobs, members, problem }: LeaseStatus, now: number): string[] {
  const compete = record?.crowd === undefined ? '-' : String(Math.round(record.crowd.candidates));
  const pods = members === undefined ? '-' : `${members.ready}/${members.all}`;
  const leader =
    holderOf(record) ??
    (record !== undefined ? '(none)' : problem === undefined ? '(no lease)' : '?');
  const { lastTick, missed } = jobsOf(jobs ?? new Map());
  const isHeld = holderOf(record) !== undefined;
  return [
    lease,
    leader,
    record === undefined ? '-' : String(record.leaseTransitions),
    isHeld ? ago(msOf(record!.acquireTimeMicros), now) : '-',
    isHeld ? validity(leaseAge(record!, now)?.validMs) : '-',
    compete,
    pods,
    jobs === undefined ? '?' : ago(lastTick, now),
    jobs === undefined ? '?' : String(missed),
  ];
}

function jobsOf(jobs: ReadonlyMap<string, JobRecord | undefined>): {
  readonly lastTick: number | null;
  readonly missed: number;
} {
  const records = [...jobs.values()].filter((each) => each !== undefined);
  const ticks = records.flatMap(({ lastScheduleTime: at }) => (at === null ? [] : [at]));
  return {
    lastTick: ticks.length === 0 ? null : Math.max(...ticks),
    missed: records.reduce((sum, { missedCount }) => sum + missedCount, 0),
  };
}

function validity(ms: number | undefined): string {
  if (ms === undefined) return '?';
  return ms > 0 ? duration(ms) : 'expired';
}

function ago(at: number | null, now: number): string {
  return at === null ? '-' : `${duration(Math.max(0, now - at))} ago`;
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function asJson({ lease, record, jobs, members, problem }: LeaseStatus, now: number): object {
  const { lastTick, missed } = jobsOf(jobs ?? new Map());
  return {
    lease,
    exists: record !== undefined,
    leader: holderOf(record) ?? null,
    application: record?.application ?? null,
    term: record?.leaseTransitions ?? null,
    since: timeOf(msOf(record?.acquireTimeMicros ?? null)),
    renewedAt: timeOf(msOf(record?.renewTimeMicros ?? null)),
    validForMs:
      (record && holderOf(record) !== undefined && leaseAge(record, now)?.validMs) ?? null,
    candidates: record?.crowd?.candidates ?? null,
    pods: members ?? null,
    jobs: jobs && { count: jobs.size, lastTick: timeOf(lastTick), missed },
    problem: problem ?? null,
  };
}
