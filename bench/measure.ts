import type { ElectionCluster } from '../proof/fleet/election-cluster.js';
import type { Figure, Unit } from './figure.js';

/** What all parts of one run share. */
export interface Ground {
  /** A real API server with an audit log. A part takes leases of its own in it, and leaves nothing that runs. */
  readonly cluster: ElectionCluster;
  /** A few seconds, so that a test sees that it works: its figures mean nothing. */
  readonly isQuick: boolean;
  /** Progress, for who waits. */
  say(line: string): void;
}

/** What is measured together, each contender in turn with the others, so that a busy moment of the machine hits all. */
export interface Part {
  /** Of `--only`, and in the JSON. */
  readonly key: string;
  readonly title: string;
  run(ground: Ground): Promise<Findings>;
}

export interface Findings {
  readonly tables: readonly Table[];
  /** What this library sets itself, met or not. */
  readonly targets: readonly Target[];
  /** How a figure grows with a size, for the picture: sizes by tens where they can be had. */
  readonly growth?: readonly Growth[];
  /** In whole sentences: what a reader could expect here, and why it is not. */
  readonly notMeasured?: readonly string[];
}

export interface Table {
  readonly title: string;
  /** In whole sentences: what is measured from when until when, and how often. */
  readonly text: string;
  /** The first is what the rows are. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Words as they are; undefined: it cannot be measured there, and the text or `notMeasured` says why. */
export type Cell = string | number | Figure | undefined;

export interface Target {
  /** "graceful handover, median, over the floor of the same run" */
  readonly what: string;
  readonly unit: Unit;
  readonly atMost: number;
  readonly measured: number;
}

export interface Growth {
  /** "requests a minute on one lease" */
  readonly what: string;
  readonly unit: Unit;
  /** "candidates" */
  readonly sizeOf: string;
  readonly lines: readonly {
    readonly name: string;
    readonly points: readonly { readonly size: number; readonly value: number }[];
  }[];
}
