import type { JsonDocument } from '../../lib/core/json-document.js';

export interface DocumentVersion {
  readonly text: string;
  readonly revision: number;
}

const MOST_KEPT = 50;

/** The one true document: linearizable, with a compare-and-set on the revision. */
export class SimulatedDocument {
  private current: DocumentVersion | undefined;
  private revision = 0;
  writes = 0;
  /** Until then, in true time, every write conflicts, as if others wrote all the time. */
  conflictsUntil = 0;
  private readonly earlier: string[] = [];

  /** `onWritten`: told every step from one version to the next. */
  constructor(
    private readonly onWritten: (before: JsonDocument, after: JsonDocument) => void = () => {},
    private readonly now: () => number = () => 0,
  ) {}

  read(): DocumentVersion | undefined {
    return this.current;
  }

  /** `expected` null: create. The new version, or undefined for a conflict. */
  write(document: JsonDocument, expected: number | null): DocumentVersion | undefined {
    if (this.current !== undefined && this.now() < this.conflictsUntil) {
      this.current = { ...this.current, revision: (this.revision += 1) };
    }
    if ((this.current?.revision ?? null) !== expected) return undefined;
    this.writes += 1;
    const before = JSON.parse(this.current?.text ?? '{}') as JsonDocument;
    this.current = { text: JSON.stringify(document), revision: (this.revision += 1) };
    this.onWritten(before, document);
    this.earlier.push(this.current.text);
    if (this.earlier.length > MOST_KEPT) this.earlier.shift();
    return this.current;
  }

  /** A backup is applied, some versions old. False if there is none. */
  restore(versionsBack: number): boolean {
    const text = this.earlier.at(-1 - versionsBack);
    if (text === undefined) return false;
    this.current = { text, revision: (this.revision += 1) };
    return true;
  }
}
