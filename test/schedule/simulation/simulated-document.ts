import type { JsonDocument } from '../../../lib/locks/document-store.js';

export interface DocumentVersion {
  readonly text: string;
  readonly revision: number;
}

/** The one true document: linearizable, with a compare-and-set on the revision. */
export class SimulatedDocument {
  private current: DocumentVersion | undefined;
  private revision = 0;
  writes = 0;

  /** `onWritten`: told every step from one version to the next. */
  constructor(
    private readonly onWritten: (before: JsonDocument, after: JsonDocument) => void = () => {},
  ) {}

  read(): DocumentVersion | undefined {
    return this.current;
  }

  /** `expected` null: create. The new version, or undefined for a conflict. */
  write(document: JsonDocument, expected: number | null): DocumentVersion | undefined {
    if ((this.current?.revision ?? null) !== expected) return undefined;
    this.writes += 1;
    const before = JSON.parse(this.current?.text ?? '{}') as JsonDocument;
    this.current = { text: JSON.stringify(document), revision: (this.revision += 1) };
    this.onWritten(before, document);
    return this.current;
  }
}
