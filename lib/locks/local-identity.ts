import { hostname } from 'node:os';
import { kernelUuid } from './kernel-entropy.js';

/**
 * A holder identity that no other process and no other election has: `<pod or host>_<uuid>`. The first half is for
 * people and may be shared (hostNetwork, `localhost`); the second alone tells two candidates apart (R8).
 */
export function localIdentity(
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const place = env['POD_NAME']?.trim() || env['HOSTNAME']?.trim() || hostname() || 'localhost';
  return `${place}_${kernelUuid()}`;
}
