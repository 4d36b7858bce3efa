import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

const LINUX_BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * Names the running kernel. Containers on one kernel can ask after each other's processes by a socket file in a shared
 * directory; a process under another kernel, or before a reboot, refuses every connection and yet may be alive.
 */
export function hostKernel(): string {
  try {
    return readFileSync(LINUX_BOOT_ID, 'utf8').trim();
  } catch {
    // Not Linux, or no procfs: the name is all there is.
    return `${process.platform} ${hostname()}`;
  }
}
