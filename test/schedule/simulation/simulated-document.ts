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

  read(): DocumentVersion | undefined {
    return this.current;
  }

  /** `expected` null: create. The new version, or undefined for a conflict. */
  write(document: JsonDocument, expected: number | null): DocumentVersion | undefined {
    if ((this.current?.revision ?? null) !== expected) return undefined;
    this.writes += 1;
    this.current = { text: JSON.stringify(document), revision: (this.revision += 1) };
    return this.current;
  }
}
