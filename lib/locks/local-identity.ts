import { hostname } from 'node:os';
import { textFault } from '../core/option-reader.js';
import { kernelUuid } from './kernel-entropy.js';

/** A pod's name has no more. */
const LONGEST_PLACE = 253;

/**
 * A holder identity that no other process and no other election has: `<pod or host>_<uuid>`. The first half is for
 * people and may be shared (hostNetwork, `localhost`); the second alone tells two candidates apart (R8).
 */
export function localIdentity(
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const names = [env['POD_NAME'], env['HOSTNAME'], hostname()].map((name) => name?.trim());
  const place =
    names.find((name) => textFault(name, '', LONGEST_PLACE) === undefined) ?? 'localhost';
  return `${place}_${kernelUuid()}`;
}
