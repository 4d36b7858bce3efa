import { join } from 'node:path';
import { LockRequestError } from '../../core/errors.js';
import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import type { WriteOutcome } from '../../core/resource-lock.js';
import { codeOf } from '../../core/thrown-value.js';
import { kernelUuid } from '../kernel-entropy.js';
import { LeaseFileReader, removeFile, sweepLeaseFiles } from './lease-file-reader.js';
import {
  formatLeaseFile,
  type HolderProcess,
  isLeaseFileSource,
  type ObservedLeaseFile,
  parseLeaseFile,
} from './lease-file-record.js';
import {
  CREATION_FILE,
  type FileLockDirectory,
  sortLeaseFileNames,
  temporaryCreationFileName,
  temporaryFileName,
  versionFileName,
} from './lease-paths.js';
import { fileLockError, isDefiniteRefusal, type LeaseFileSystem } from './system-call-failure.js';

/**
 * One lease as a directory of complete, never rewritten files: `created.json` and `<revision>.<uid>.json`, of which the
 * highest revision counts. link() puts a finished temporary file in place and fails if the name is taken: that is the
 * compare-and-set. A process may be killed or stopped between any two system calls.
 *
 * Why a writer that slept cannot put its file under a number that has been used and swept in the meantime: its
 * temporary file is named after the number it aims at, and only once that file exists does it check whether its
 * expectation still holds. A sweep removes the temporary files aimed at a number before the version of that number. So
 * either the check shows the newer version, or link() finds no temporary file. A link() that succeeds is thus the
 * write, and definite.
 *
 * A lease is deleted by removing its directory. No write brings it back: without `created.json`, or with one of another
 * uid, the version files do not count, and a writer checks that again after link().
 *
 * Revisions grow with every write of this lease. A lease that is created again starts above every file found and
 * everything this process has seen, and at the wall clock's microseconds if that is more. So if people delete
 * everything, the order breaks only if the clock was set back and no process is left that remembers, or if a creation
 * slept through the whole life of another lease. Only that order depends on the clock. Written for local file systems.
 * Nothing is flushed to disk, as a host that lost its power has no holder either.
 */
export class LeaseFileStore {
  private readonly reader: LeaseFileReader;

  constructor(
    readonly directory: string,
    private readonly files: LeaseFileSystem,
    /** Written into the file of a new lease for people: directory names may be shortened. */
    private readonly labels: Readonly<Record<string, string>>,
    private readonly root: FileLockDirectory,
  ) {
    this.reader = new LeaseFileReader(directory, files);
  }

  /** A deletion has no number of its own; this one is above everything that this process has seen. */
  get nextUnseenRevision(): bigint {
    return this.reader.highestSeen + 1n;
  }

  /** The newest version, null if there is no lease. Rejects with the error of the system call. */
  look(signal?: AbortSignal): Promise<ObservedLeaseFile | null> {
    return this.reader.look(signal);
  }

  async create(
    record: LeaseRecord,
    holderProcess: HolderProcess | null,
    signal: AbortSignal,
  ): Promise<WriteOutcome<ObservedLeaseFile>> {
    const temporary = this.path(temporaryCreationFileName());
    const uid = kernelUuid();
    let lease: ObservedLeaseFile;
    try {
      await this.root.make(this.directory);
      const revision = await this.firstRevision();
      const text = formatLeaseFile({ record, uid, revision, holderProcess }, this.labels);
      lease = parseLeaseFile(text, { name: CREATION_FILE, uid, revision });
      await this.write(temporary, text);
      signal.throwIfAborted();
    } catch (error) {
      return this.notApplied('create', temporary, error);
    }
    const outcome = await this.link(temporary, CREATION_FILE, 'create');
    // A temporary creation is swept only while there is a lease.
    if (outcome.kind === 'swept') return { kind: 'conflict' };
    return outcome.kind === 'linked' ? this.applied(lease) : outcome;
  }

  async replace(
    record: LeaseRecord,
    expected: ObservedLease,
    holderProcess: HolderProcess | null,
    signal: AbortSignal,
  ): Promise<WriteOutcome<ObservedLeaseFile>> {
    const { uid } = expected;
    const revision = expected.revision + 1n;
    const name = versionFileName(revision, uid);
    const temporary = this.path(temporaryFileName(revision, uid));
    const kept = isLeaseFileSource(expected.source) ? expected.source.fields : {};
    const text = formatLeaseFile({ record, uid, revision, holderProcess }, kept);
    try {
      await this.write(temporary, text);
      const current = await this.look(signal);
      if (current === null || !isSameVersion(current, expected)) {
        await this.discard(temporary);
        return { kind: current === null ? 'absent' : 'conflict' };
      }
      signal.throwIfAborted();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return { kind: 'absent' };
      return this.notApplied('replace', temporary, error);
    }
    const outcome = await this.link(temporary, name, 'replace');
    if (outcome.kind !== 'linked' && outcome.kind !== 'swept') return outcome;
    try {
      const current = await this.look();
      if (current === null) return { kind: 'absent' };
      if (outcome.kind === 'swept' || current.uid !== uid) return { kind: 'conflict' };
    } catch (error) {
      const kind = outcome.kind === 'swept' ? 'not-applied' : 'unknown';
      return { kind, error: fileLockError('replace', this.directory, error) };
    }
    return this.applied(parseLeaseFile(text, { name, uid, revision }));
  }

  /** `swept`: the temporary file is gone, so the number it aimed at is of the past. */
  private async link(temporary: string, name: string, action: string): Promise<LinkOutcome> {
    try {
      await this.files.link(temporary, this.path(name));
      return { kind: 'linked' };
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENOENT') return { kind: 'swept' };
      await this.discard(temporary);
      if (code === 'EEXIST') return { kind: 'conflict' };
      const kind = isDefiniteRefusal(error) ? 'not-applied' : 'unknown';
      return { kind, error: fileLockError(action, this.directory, error) };
    }
  }

  private async applied(lease: ObservedLeaseFile): Promise<WriteOutcome<ObservedLeaseFile>> {
    this.reader.saw(lease);
    try {
      await sweepLeaseFiles(this.files, this.directory, lease.uid, lease.revision);
    } catch {
      // The write itself is done. What the sweep left does no harm, and the next write sweeps again.
    }
    return { kind: 'applied', stored: lease };
  }

  private async notApplied(
    action: string,
    temporary: string,
    error: unknown,
  ): Promise<WriteOutcome<ObservedLeaseFile>> {
    await this.discard(temporary);
    const explained =
      error instanceof LockRequestError ? error : fileLockError(action, this.directory, error);
    return { kind: 'not-applied', error: explained };
  }

  private async discard(temporary: string): Promise<void> {
    try {
      await removeFile(this.files, temporary);
    } catch {
      // A later write sweeps it away; the outcome of this one is known.
    }
  }

  private async firstRevision(): Promise<bigint> {
    const { versions, temporary } = sortLeaseFileNames(await this.files.readdir(this.directory));
    const found = [...versions, ...temporary].map((file) => file.revision + 1n);
    return [this.nextUnseenRevision, BigInt(Date.now()) * 1000n, ...found].reduce((a, b) =>
      a > b ? a : b,
    );
  }

  /** A new file: nothing is written through a link or into a file that is there. */
  private write(path: string, text: string): Promise<void> {
    return this.files.writeFile(path, text, { flag: 'wx', mode: this.root.fileMode });
  }

  private path(name: string): string {
    return join(this.directory, name);
  }
}

type LinkOutcome =
  | { readonly kind: 'linked' }
  | { readonly kind: 'swept' }
  | Extract<WriteOutcome, { readonly kind: 'conflict' | 'not-applied' | 'unknown' }>;

/** The text counts too: an edit in place changes neither name nor number, and must not be overwritten unseen. */
function isSameVersion(current: ObservedLeaseFile, expected: ObservedLease): boolean {
  return (
    current.uid === expected.uid &&
    current.revision === expected.revision &&
    (!isLeaseFileSource(expected.source) || expected.source.text === current.source.text)
  );
}
