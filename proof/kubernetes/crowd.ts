import { setTimeout as delay } from 'node:timers/promises';
import { CROWD_ANNOTATION } from '../../lib/locks/kubernetes/lease-object.js';
import type { ControlPlane } from '../control-plane/control-plane.js';
import { type ElectionCluster, NAMESPACE } from '../fleet/election-cluster.js';
import { monotonicMs } from '../fleet/monotonic-clock.js';
import { type CandidatesReport, CrowdProcess, type Following } from './crowd-process.js';
import { type HandoverCost, handoverCosts, type HandoverInterval } from './handover-cost.js';

/** Some of a crowd: all of one version of the library. */
export interface CrowdPart {
  /** URL of the folder with the compiled library. */
  readonly library: string;
  readonly candidates: number;
}

/** Where a crowd competes. */
export interface CrowdPlace {
  readonly server: Pick<ControlPlane, 'auditLog' | 'request'>;
  readonly kubeConfigFile: string;
  readonly namespace: string;
  /** Must not exist yet, if nothing else is said. */
  readonly leaseName: string;
}

export function placeIn(
  { server, kubeConfigFile }: ElectionCluster,
  leaseName: string,
): CrowdPlace {
  return { server, kubeConfigFile, namespace: NAMESPACE, leaseName };
}

/** Candidates for the same Lease that are no part of this library. */
export interface Outsiders {
  /** How many they are. */
  readonly count: number;
  readonly pid: number;
  /** Who began and ceased to lead. */
  readonly reports: readonly CandidatesReport[];
  /** Empty if they do not say so. */
  readonly follows: readonly Following[];
  /** Whoever of them leads; it competes again once another one leads. */
  stepDown(): void;
  resume(): void;
  kill(): Promise<void>;
}

export interface CrowdOptions {
  readonly outsiders?: Outsiders;
  /** The compiled program of the candidates. */
  readonly program?: string;
  /** What their identities begin with; `p` if nothing is said. */
  readonly prefix?: string;
  readonly candidatesPerProcess?: number;
}

const CANDIDATES_PER_PROCESS = 75;
const COOLDOWN_MS = 1_000;
/** Longer than a retry period, so that each holder measures how long a renewal takes. */
const TERM_MS = 2_500;
const GRANT_LIMIT_MS = 60_000;
const FOLLOW_LIMIT_MS = 120_000;
/** A connection takes milliseconds of both sides, and is given up after a second. */
const APART_MS = 10;

/** Candidates in several processes on one Lease of a real API server, whose leader steps down again and again. */
export class Crowd {
  private readonly intervals: HandoverInterval[] = [];

  private constructor(
    private readonly place: CrowdPlace,
    private readonly parts: readonly CrowdPart[],
    private readonly processes: readonly CrowdProcess[],
    private readonly options: CrowdOptions,
  ) {}

  /** All are loaded and connected to nothing yet. */
  static async prepare(
    place: CrowdPlace,
    parts: readonly CrowdPart[],
    options: CrowdOptions = {},
  ): Promise<Crowd> {
    const { prefix = 'p', program, candidatesPerProcess = CANDIDATES_PER_PROCESS } = options;
    const { kubeConfigFile, namespace, leaseName } = place;
    const processes: CrowdProcess[] = [];
    for (const [part, { library, candidates }] of parts.entries()) {
      for (let begin = 0; begin < candidates; begin += candidatesPerProcess) {
        const size = Math.min(candidatesPerProcess, candidates - begin);
        const identities = Array.from(
          { length: size },
          (_, index) => `${prefix}${part}-${begin + index}`,
        );
        const settings = { library, kubeConfigFile, namespace, leaseName, identities };
        const name = `${leaseName}-${prefix}${processes.length}`;
        processes.push(new CrowdProcess(name, settings, program));
      }
    }
    const crowd = new Crowd(place, parts, processes, options);
    try {
      await Promise.all(
        processes.map((each) => each.until('start', () => each.isReady || each.hasExited)),
      );
      crowd.demandAlive();
    } catch (error) {
      await crowd.kill();
      throw error;
    }
    return crowd;
  }

  /** All at once, or each by itself as replicas do that start. */
  async start({ inTurn = false } = {}): Promise<void> {
    this.intervals.push({ from: new Date() });
    if (inTurn) await this.join();
    else for (const process of this.processes) process.order({ kind: 'start', apartMs: 0 });
    if ((await this.grantSince(0)) === undefined) {
      throw new Error(`nobody leads ${GRANT_LIMIT_MS} ms after the start`);
    }
    await delay(TERM_MS);
  }

  /** Each by itself, beside others on the same Lease perhaps. Returns when all know whom they follow. */
  async join(): Promise<void> {
    for (const process of this.processes) {
      process.order({ kind: 'start', apartMs: APART_MS });
      await process.until('leader', () => knowsLeader(process), FOLLOW_LIMIT_MS);
    }
  }

  /** False if no one follows within a limit; without one it rejects after a minute. */
  async handOver(
    options: { directed?: boolean; termMs?: number; limitMs?: number } = {},
  ): Promise<boolean> {
    const { directed = false, termMs = TERM_MS, limitMs } = options;
    const { identity } = this.leader();
    const process = this.processOf(identity);
    const others = this.identities.filter((each) => each !== identity);
    const successor =
      directed && process !== undefined
        ? others[Math.floor(Math.random() * others.length)]
        : undefined;
    const from = new Date();
    const since = monotonicMs();
    if (process === undefined) this.options.outsiders!.stepDown();
    else process.order({ kind: 'step-down', identity, cooldownMs: COOLDOWN_MS, successor });
    const granted = await this.grantSince(since, limitMs);
    this.options.outsiders?.resume();
    if (granted === undefined) {
      if (limitMs !== undefined) return false;
      throw new Error(`nobody leads ${GRANT_LIMIT_MS} ms later`);
    }
    this.intervals.push({ from, handover: { since, granted, named: successor } });
    await delay(termMs);
    return true;
  }

  /** The start, and then each handover. */
  async costs(): Promise<HandoverCost[]> {
    // The log follows the answers within moments, and so do the candidates' own reports.
    await delay(1_500);
    const { server, leaseName, namespace } = this.place;
    const entries = (await server.auditLog()).filter(
      ({ resource, namespace: place, name, requestURI }) =>
        resource === 'leases' &&
        place === namespace &&
        (name === leaseName || (name === undefined && requestURI.endsWith('/leases'))),
    );
    return handoverCosts(this.intervals, entries, {
      follows: this.sources.flatMap(({ follows }) => follows),
      candidates: this.identities.length + (this.options.outsiders?.count ?? 0),
    });
  }

  /** What the record says of the crowd: how many compete, and how many milliseconds a renewal takes. */
  async recorded(): Promise<string> {
    const { server, namespace, leaseName } = this.place;
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${leaseName}`;
    const { body } = await server.request('GET', path);
    const annotations = body.metadata?.['annotations'] as Record<string, string> | undefined;
    return annotations?.[CROWD_ANNOTATION] ?? '';
  }

  get pids(): number[] {
    return this.sources.map(({ pid }) => pid);
  }

  /** How many pairs of terms overlapped, by what the candidates have told; a term counts until its end was told. */
  overlaps(): number {
    let leading = 0;
    let overlaps = 0;
    for (const { kind } of this.reports()) {
      if (kind === 'granted' && leading++ > 0) overlaps++;
      if (kind === 'revoked') leading--;
    }
    return overlaps;
  }

  /** How many terms each part of the crowd has had, and then the outsiders. */
  get terms(): number[] {
    const { prefix = 'p' } = this.options;
    const granted = this.reports().filter(({ kind }) => kind === 'granted');
    const ofPart = this.parts.map(
      (_, part) =>
        granted.filter(({ identity }) => identity.startsWith(`${prefix}${part}-`)).length,
    );
    return [...ofPart, granted.length - ofPart.reduce((sum, count) => sum + count, 0)];
  }

  async kill(): Promise<void> {
    await Promise.all(this.sources.map((each) => each.kill()));
  }

  private get identities(): string[] {
    return this.processes.flatMap(({ settings }) => settings.identities);
  }

  private processOf(identity: string): CrowdProcess | undefined {
    return this.processes.find(({ settings }) => settings.identities.includes(identity));
  }

  private get sources(): readonly (CrowdProcess | Outsiders)[] {
    const { outsiders } = this.options;
    return outsiders === undefined ? this.processes : [...this.processes, outsiders];
  }

  private reports(): CandidatesReport[] {
    return this.sources
      .flatMap(({ reports }) => reports)
      .filter(({ kind }) => kind !== 'ready')
      .toSorted((a, b) => a.at - b.at);
  }

  private leader(): CandidatesReport {
    return this.reports().findLast(({ kind }) => kind === 'granted')!;
  }

  private async grantSince(
    since: number,
    limitMs = GRANT_LIMIT_MS,
  ): Promise<CandidatesReport | undefined> {
    const giveUpAt = monotonicMs() + limitMs;
    for (;;) {
      for (const { reports } of this.sources) {
        const granted = reports.findLast(({ kind, at }) => kind === 'granted' && at > since);
        if (granted !== undefined) return granted;
      }
      this.demandAlive();
      if (monotonicMs() > giveUpAt) return undefined;
      await delay(2);
    }
  }

  private demandAlive(): void {
    const crash = this.processes.find(({ hasExited }) => hasExited);
    if (crash !== undefined) throw new Error(`${crash.name} has ended\n${crash.said()}`);
  }
}

/** All of its candidates have heard of one. */
function knowsLeader({ follows, settings }: CrowdProcess): boolean {
  return new Set(follows.map(({ identity }) => identity)).size === settings.identities.length;
}
