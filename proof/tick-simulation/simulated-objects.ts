import type { JsonDocument } from '../../lib/core/json-document.js';
import {
  jobNames,
  readJobRecord,
  storedRecord,
  unpacked,
} from '../../lib/schedule/ledger/ledger-document.js';
import { isCutDown, isMark } from '../../lib/schedule/ledger/moved-record.js';
import type { FaultCount } from './network-faults.js';
import { SimulatedDocument } from './simulated-document.js';

interface ObjectsTraits {
  readonly count: FaultCount;
  readonly now: () => number;
  /** Told what all objects say together, before and after each write to one of them. */
  readonly onWritten: (before: JsonDocument, after: JsonDocument) => void;
}

/** The objects over which the jobs of the role may be spread, and what they say together. */
export class SimulatedObjects {
  readonly documents: readonly SimulatedDocument[];
  /**
   * Jobs whose mark went with a restored first object. Whoever remembers the mark works where it pointed, and no longer
   * looks at what the first object has again.
   */
  readonly unmarked = new Set<string>();

  constructor(
    howMany: number,
    private readonly traits: ObjectsTraits,
  ) {
    this.documents = Array.from({ length: howMany }, (_, index) => this.document(index));
  }

  get writes(): number {
    return this.documents.reduce((sum, { writes }) => sum + writes, 0);
  }

  /** A backup of one of them is applied. @param part of 1, which decides the object and how old the backup is */
  restore(part: number): boolean {
    const [first] = this.documents as [SimulatedDocument];
    const marked = marksIn(contentOf(first));
    const document = this.documents[Math.floor(part * 1_000) % this.documents.length]!;
    const isRestored = document.restore(Math.floor(40 * part));
    const left = new Set(marksIn(contentOf(first)));
    for (const job of marked) if (!left.has(job)) this.unmarked.add(job);
    return isRestored;
  }

  /** A process was killed. */
  left(): void {
    const [first, ...others] = this.documents.map(contentOf) as [JsonDocument, ...JsonDocument[]];
    const isLeft = jobNames(first).some((job) => {
      const mark = readJobRecord(first, job);
      if (!isMark(mark) || isCutDown(mark)) return false;
      return storedRecord(others[mark.movedTo - 1]!, job) === undefined;
    });
    if (isLeft) this.traits.count.add('killed between mark and copy');
  }

  private document(index: number): SimulatedDocument {
    const onWritten = (...steps: [JsonDocument, JsonDocument]): void => {
      // A large document is stored packed.
      const [before, after] = steps.map(unpacked) as [JsonDocument, JsonDocument];
      const all = this.documents.map(contentOf);
      const asOf = (version: JsonDocument) => together(all.with(index, version));
      this.traits.onWritten(asOf(before), asOf(after));
      if (index === 0 && marksIn(after).length > marksIn(before).length)
        this.traits.count.add('job moved');
    };
    return new SimulatedDocument(onWritten, this.traits.now);
  }
}

function contentOf(document: SimulatedDocument): JsonDocument {
  return unpacked(JSON.parse(document.read()?.text ?? '{}') as JsonDocument);
}

function marksIn(document: JsonDocument): string[] {
  return jobNames(document).filter((job) => isMark(readJobRecord(document, job)));
}

/** Each job as it is where the first object says that it is. */
function together([first, ...others]: readonly JsonDocument[]): JsonDocument {
  if (first === undefined || others.length === 0) return first ?? {};
  const jobs = jobNames(first).flatMap((job) => {
    const here = storedRecord(first, job);
    const record = readJobRecord(first, job);
    if (!isMark(record)) return [[job, here] as const];
    const object = others[record.movedTo - 1]!;
    const moved = readJobRecord(object, job);
    // What is left of a record that was swept.
    if (moved !== undefined)
      return isCutDown(moved) ? [] : [[job, storedRecord(object, job)] as const];
    const { format: _format, movedTo: _movedTo, ...content } = here as JsonDocument;
    return isCutDown(record) ? [] : [[job, content] as const];
  });
  const swept = [first, ...others].flatMap(({ sweptThrough }) => sweptThrough ?? []) as string[];
  const through = swept.toSorted().at(-1);
  return {
    jobs: Object.fromEntries(jobs) as JsonDocument,
    ...(through !== undefined && { sweptThrough: through }),
  };
}
