import { setTimeout as delay } from 'node:timers/promises';
import { CROWD_ANNOTATION } from '../../lib/locks/kubernetes/lease-object.js';
import type { AuditEntry } from '../control-plane/audit-log.js';
import { type ElectionCluster, NAMESPACE } from '../fleet/election-cluster.js';
import { monotonicMs } from '../fleet/monotonic-clock.js';
import { type CandidatesReport, CrowdProcess } from './crowd-process.js';

/** Some of a crowd: all of one version of the library. */
export interface CrowdPart {
  /** URL of the folder with the compiled library. */
  readonly library: string;
  readonly candidates: number;
}

/** Candidates for the same Lease that are no part of this library. */
export interface Outsiders {
  /** Who began and ceased to lead. */
  readonly reports: readonly CandidatesReport[];
  stepDown(identity: string): Promise<void>;
  kill(): Promise<void>;
}

export interface CrowdOptions {
  readonly outsiders?: Outsiders;
  /** The compiled program of the candidates. */
  readonly program?: string;
}

/** What one handover, or the start, has cost all candidates together, by the audit log. */
export interface HandoverCost {
  /** Creations and replacements that conflicted. */
  readonly wastedWrites: number;
  readonly reads: number;
  /** From the order to step down to the next grant; undefined for the start. */
  readonly tookMs: number | undefined;
  /** Whom the release named has followed; undefined where it named nobody. */
  readonly cameAsNamed: boolean | undefined;
}

const CANDIDATES_PER_PROCESS = 75;
const COOLDOWN_MS = 1_000;
/** Longer than a retry period, so that each holder measures how long a renewal takes. */
const TERM_MS = 2_500;
const GRANT_LIMIT_MS = 60_000;

interface Interval {
  readonly from: Date;
  readonly tookMs: number | undefined;
  readonly cameAsNamed: boolean | undefined;
}

/** Candidates in several processes on one Lease of a real API server, whose leader steps down again and again. */
export class Crowd {
  private readonly intervals: Interval[] = [];

  private constructor(
    private readonly cluster: ElectionCluster,
    readonly leaseName: string,
    private readonly parts: readonly CrowdPart[],
    private readonly processes: readonly CrowdProcess[],
    private readonly identities: readonly string[],
    private readonly outsiders: Outsiders | undefined,
  ) {}

  /** All are loaded and connected to nothing yet. The Lease must not exist. */
  static async prepare(
    cluster: ElectionCluster,
    leaseName: string,
    parts: readonly CrowdPart[],
    { outsiders, program }: CrowdOptions = {},
  ): Promise<Crowd> {
    const { kubeConfigFile } = cluster;
    const processes: CrowdProcess[] = [];
    const all: string[] = [];
    for (const [part, { library, candidates }] of parts.entries()) {
      for (let begin = 0; begin < candidates; begin += CANDIDATES_PER_PROCESS) {
        const size = Math.min(CANDIDATES_PER_PROCESS, candidates - begin);
        const identities = Array.from({ length: size }, (_, index) => `p${part}-${begin + index}`);
        const settings = { library, kubeConfigFile, leaseName, identities };
        processes.push(new CrowdProcess(`${leaseName}-${processes.length}`, settings, program));
        all.push(...identities);
      }
    }
    const crowd = new Crowd(cluster, leaseName, parts, processes, all, outsiders);
    try {
      await Promise.all(
        processes.map((each) => each.until('start', () => each.isReady || each.hasExited)),
      );
      for (const each of processes) {
        if (each.hasExited) throw new Error(`${each.name} has ended\n${each.said()}`);
      }
    } catch (error) {
      await crowd.kill();
      throw error;
    }
    return crowd;
  }

  /** All at once. */
  async start(): Promise<void> {
    this.intervals.push({ from: new Date(), tookMs: undefined, cameAsNamed: undefined });
    for (const process of this.processes) process.order({ kind: 'start' });
    await this.grantSince(0);
    await delay(TERM_MS);
  }

  async handOver({ directed = false } = {}): Promise<void> {
    const { identity } = this.leader();
    const process = this.processes.find((each) =>
      each.reports.some((report) => report.identity === identity),
    );
    const others = this.identities.filter((each) => each !== identity);
    const successor =
      directed && process !== undefined
        ? others[Math.floor(Math.random() * others.length)]
        : undefined;
    const from = new Date();
    const since = monotonicMs();
    if (process === undefined) await this.outsiders!.stepDown(identity);
    else process.order({ kind: 'step-down', identity, cooldownMs: COOLDOWN_MS, successor });
    const granted = await this.grantSince(since);
    this.intervals.push({
      from,
      tookMs: granted.at - since,
      cameAsNamed: successor === undefined ? undefined : granted.identity === successor,
    });
    await delay(TERM_MS);
  }

  /** The start, and then each handover. */
  async costs(): Promise<HandoverCost[]> {
    // The log follows the answers within moments.
    await delay(500);
    const entries = (await this.cluster.server.auditLog()).filter(
      ({ resource, name, requestURI }) =>
        resource === 'leases' &&
        (name === this.leaseName || (name === undefined && requestURI.endsWith('/leases'))),
    );
    return this.intervals.map(({ from, tookMs, cameAsNamed }, index) => {
      const to = this.intervals[index + 1]?.from ?? new Date();
      const within = entries.filter(({ requestReceivedTimestamp }) => {
        const at = new Date(requestReceivedTimestamp);
        return at >= from && at < to;
      });
      const wastedWrites = within.filter(isWastedWrite).length;
      const reads = within.filter(({ verb }) => verb === 'get' || verb === 'list').length;
      return { wastedWrites, reads, tookMs, cameAsNamed };
    });
  }

  /** What the record says of the crowd: how many compete, and how many milliseconds a renewal takes. */
  async recorded(): Promise<string> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${this.leaseName}`;
    const { body } = await this.cluster.server.request('GET', path);
    const annotations = body.metadata?.['annotations'] as Record<string, string> | undefined;
    return annotations?.[CROWD_ANNOTATION] ?? '';
  }

  /** How many pairs of terms overlapped, by what the candidates have told; a term counts until its end was told. */
  overlaps(): number {
    const reports = this.reports();
    let leading = 0;
    let overlaps = 0;
    for (const { kind } of reports) {
      if (kind === 'granted' && leading++ > 0) overlaps++;
      if (kind === 'revoked') leading--;
    }
    return overlaps;
  }

  /** How many terms each part of the crowd has had, and then the outsiders. */
  get terms(): number[] {
    const granted = this.reports().filter(({ kind }) => kind === 'granted');
    const ofPart = this.parts.map(
      (_, part) => granted.filter(({ identity }) => identity.startsWith(`p${part}-`)).length,
    );
    return [...ofPart, granted.length - ofPart.reduce((sum, count) => sum + count, 0)];
  }

  async kill(): Promise<void> {
    const { processes, outsiders } = this;
    const all = outsiders === undefined ? processes : [...processes, outsiders];
    await Promise.all(all.map((each) => each.kill()));
  }

  private reports(): CandidatesReport[] {
    return [...this.processes, ...(this.outsiders === undefined ? [] : [this.outsiders])]
      .flatMap(({ reports }) => reports)
      .filter(({ kind }) => kind !== 'ready')
      .toSorted((a, b) => a.at - b.at);
  }

  private leader(): CandidatesReport {
    return this.reports().findLast(({ kind }) => kind === 'granted')!;
  }

  private async grantSince(since: number): Promise<CandidatesReport> {
    const giveUpAt = monotonicMs() + GRANT_LIMIT_MS;
    for (;;) {
      const granted = this.reports().find(({ kind, at }) => kind === 'granted' && at > since);
      if (granted !== undefined) return granted;
      const crash = this.processes.find(({ hasExited }) => hasExited);
      if (crash !== undefined) throw new Error(`${crash.name} has ended\n${crash.said()}`);
      if (monotonicMs() > giveUpAt) throw new Error(`nobody leads ${GRANT_LIMIT_MS} ms later`);
      await delay(2);
    }
  }
}

function isWastedWrite({ verb, code }: AuditEntry): boolean {
  return (verb === 'create' || verb === 'update') && code === 409;
}
