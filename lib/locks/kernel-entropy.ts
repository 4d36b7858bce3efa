import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';

/**
 * Random bytes from the kernel at each call. Everything in `node:crypto`, like `Math.random()`, comes from a generator
 * inside the process that was seeded once: two copies of a process, restored from one snapshot or checkpoint, continue
 * with the same numbers (R19). The kernel gives each reader different ones, and Linux notices that its machine was
 * copied. Where there is no such file, the process's own generator is used.
 */
export function kernelEntropy(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  try {
    const file = openSync('/dev/urandom', 'r');
    try {
      if (readSync(file, buffer, 0, bytes, null) === bytes) return buffer;
    } finally {
      closeSync(file);
    }
  } catch {
    // This is Windows, or all file descriptors are in use, which must not stop an election.
  }
  return randomFillSync(buffer);
}

/** Uniform in [0, 1), as `Math.random()`. */
export function kernelRandom(): number {
  return Number(kernelEntropy(8).readBigUInt64LE() >> 11n) / 2 ** 53;
}

/** A version 4 UUID. */
export function kernelUuid(): string {
  const bytes = kernelEntropy(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
