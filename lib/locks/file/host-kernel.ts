import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

const LINUX_BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * The running kernel. Containers on one kernel can ask after each other's processes by a socket file in a shared
 * directory; a process under another kernel, or before a reboot, refuses every connection and yet may be alive.
 */
export interface HostKernel {
  readonly name: string;
  /**
   * True if no other kernel and no earlier boot has this name. A host name has no such quality: under an equal one only
   * a process that was heard is known to be of this kernel.
   */
  readonly isUnique: boolean;
}

export function hostKernel(readText: (path: string) => string = readUtf8): HostKernel {
  const bootId = process.platform === 'linux' ? linuxBootId(readText) : '';
  if (bootId !== '') return { name: bootId, isUnique: true };
  return { name: `${process.platform} ${hostname()}`, isUnique: false };
}

function linuxBootId(readText: (path: string) => string): string {
  try {
    return readText(LINUX_BOOT_ID).trim();
  } catch {
    // No procfs, or no descriptor for it just now.
    return '';
  }
}

function readUtf8(path: string): string {
  return readFileSync(path, 'utf8');
}
