/** What can be seen of a lock in files before it is loaded. A class, so that no lock of a user's own is taken for one. */
export abstract class LocalLock {
  /** True if no directory was named: other users, containers and TMPDIRs then have directories of their own. */
  abstract readonly isInDefaultDirectory: boolean;
}
