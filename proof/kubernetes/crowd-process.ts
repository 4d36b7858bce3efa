import { fileURLToPath } from 'node:url';
import { NodeProgram } from '../fleet/node-program.js';

/** What a process of candidates is told in `CANDIDATES`. */
export interface CandidatesSettings {
  /** URL of the folder with the compiled library, which may be that of an older version; or what else the program can run. */
  readonly library: string;
  readonly kubeConfigFile: string;
  readonly namespace: string;
  readonly leaseName: string;
  readonly identities: readonly string[];
}

export type CandidatesOrder =
  /** One candidate after the other, so far apart. */
  | { readonly kind: 'start'; readonly apartMs: number }
  | {
      readonly kind: 'step-down';
      readonly identity: string;
      readonly cooldownMs: number;
      /** Whom the release names. */
      readonly successor: string | undefined;
    };

export interface CandidatesReport {
  readonly kind: 'ready' | 'granted' | 'revoked';
  readonly identity: string;
  /** On the monotonic clock that all processes of the machine share. */
  readonly at: number;
}

/** A candidate has heard who leads, itself perhaps. */
export interface Following {
  readonly identity: string;
  readonly at: number;
  readonly leader: string;
}

const PROGRAM = fileURLToPath(new URL('./crowd-candidates.js', import.meta.url));

export class CrowdProcess extends NodeProgram {
  readonly reports: CandidatesReport[] = [];
  /** These are told a moment later, many together. */
  readonly follows: Following[] = [];

  constructor(
    name: string,
    readonly settings: CandidatesSettings,
    program = PROGRAM,
  ) {
    super({ name, program, hasChannel: true, env: { CANDIDATES: JSON.stringify(settings) } });
  }

  get isReady(): boolean {
    return this.reports.some(({ kind }) => kind === 'ready');
  }

  order(order: CandidatesOrder): void {
    this.send(order);
  }

  protected override received(told: CandidatesReport | readonly Following[]): void {
    if ('kind' in told) this.reports.push(told);
    else this.follows.push(...told);
  }
}
