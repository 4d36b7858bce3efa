import { createHash } from 'node:crypto';

/** The suffix of the object beside the lease of the role that holds the records. */
export const ONCE_SUFFIX = 'once';

/** Names of objects in a cluster are at most this long. The same on every lock, so that rights can be given beforehand. */
const LONGEST_NAME = 253;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const HASH_LENGTH = 16;
const LIKE_A_HASH = /^[0-9a-f]{16}$/;

/**
 * The suffix of the lease of a key, the same in every replica: `once-<key>`, or `once-` and a hash of the key where that
 * is no name of an object. A key that looks like such a hash is hashed too, so no two keys share a lease.
 */
export function onceLeaseSuffix(leaseName: string, key: string): string {
  const suffix = `${ONCE_SUFFIX}-${key}`;
  const isName =
    DNS_LABEL.test(key) &&
    !LIKE_A_HASH.test(key) &&
    `${leaseName}-${suffix}`.length <= LONGEST_NAME;
  if (isName) return suffix;
  const hash = createHash('sha256').update(key).digest('hex').slice(0, HASH_LENGTH);
  return `${ONCE_SUFFIX}-${hash}`;
}

export function onceLeaseName(leaseName: string, key: string): string {
  return `${leaseName}-${onceLeaseSuffix(leaseName, key)}`;
}
