import { createHash } from 'node:crypto';
import { kernelUuid } from '../kernel-entropy.js';

/** The lease as it was created. It exists exactly as long as the lease does, and its uid is that of the lease. */
export const CREATION_FILE = 'created.json';

const LONGEST_DIRECTORY_NAME = 200;
const UNSAFE = /[^a-z0-9_-]/g;
const VERSION = /^(\d+)\.([\w-]+)\.json$/;
const TEMPORARY = /^(\d+)\.([\w-]+)\.[\w-]+\.tmp$/;
const TEMPORARY_CREATION = /^created\.[\w-]+\.tmp$/;

export interface LeaseFileName {
  readonly name: string;
  readonly uid: string;
  readonly revision: bigint;
}

export interface LeaseFileNames {
  readonly versions: readonly LeaseFileName[];
  /** Written but perhaps never linked; named after the version they aim at. */
  readonly temporary: readonly LeaseFileName[];
  readonly temporaryCreations: readonly string[];
  /** Of all names, also those of others. */
  readonly count: number;
}

/**
 * One directory per lease. Different leases have different names also where the file system folds case, and the dot
 * that separates namespace and name is in neither.
 */
export function leaseDirectoryName(namespace: string, leaseName: string): string {
  const name = `${encoded(namespace)}.${encoded(leaseName)}`;
  if (name.length <= LONGEST_DIRECTORY_NAME) return name;
  return `${name.slice(0, 100)}~${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
}

export function versionFileName(revision: bigint, uid: string): string {
  return `${revision}.${uid}.json`;
}

export function temporaryFileName(revision: bigint, uid: string): string {
  return `${revision}.${uid}.${kernelUuid()}.tmp`;
}

export function temporaryCreationFileName(): string {
  return `created.${kernelUuid()}.tmp`;
}

/** What may stand as a uid in a file name; an edited creation file may hold anything. */
export function isUid(value: unknown): value is string {
  return typeof value === 'string' && /^[\w-]{1,64}$/.test(value);
}

/** Versions and temporary files in ascending order of revision; names of others are left out. */
export function sortLeaseFileNames(names: readonly string[]): LeaseFileNames {
  return {
    versions: matching(names, VERSION),
    temporary: matching(names, TEMPORARY),
    temporaryCreations: names.filter((name) => TEMPORARY_CREATION.test(name)),
    count: names.length,
  };
}

function matching(names: readonly string[], pattern: RegExp): LeaseFileName[] {
  const found: LeaseFileName[] = [];
  for (const name of names) {
    const [, revision, uid] = pattern.exec(name) ?? [];
    if (revision !== undefined && uid !== undefined) {
      found.push({ name, uid, revision: BigInt(revision) });
    }
  }
  return found.sort((a, b) => (a.revision < b.revision ? -1 : a.revision > b.revision ? 1 : 0));
}

function encoded(part: string): string {
  return part.replace(UNSAFE, (character) =>
    Array.from(
      Buffer.from(character),
      (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    ).join(''),
  );
}
