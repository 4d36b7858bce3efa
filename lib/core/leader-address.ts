import type { OptionFault } from './errors.js';
import { isOfAcquisition, type LeaseRecord } from './lease-record.js';

/** Scheme, host and port alone: what a client asked for is appended, so anything more would be guessed at. */
const ORIGIN =
  /^https?:\/\/(?<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[-A-Za-z0-9.]{0,251}[A-Za-z0-9])?)(?::(?<port>[1-9]\d{0,4}))?$/;

/** What an address without a value becomes, and what means every address of whoever asks. */
const NO_HOSTS = ['undefined', 'null', 'nan', '0.0.0.0', '[::]'];

/** Why a value is no address of a leader, whoever wrote it; undefined if it is one. */
export function addressFault(value: unknown): Pick<OptionFault, 'rule' | 'fix'> | undefined {
  const { host, port } = (typeof value === 'string' && ORIGIN.exec(value)?.groups) || {};
  const fix = `use for example "http://10.1.2.3:3000", with the pod's own IP (status.podIP by the downward API)`;
  // What looks like an address may be none, such as http://10.0.0.300: whoever is sent there would fail.
  if (host === undefined || Number(port ?? 0) > 65_535 || !URL.canParse(value as string)) {
    const rule =
      'must be an http or https URL of scheme, host and port alone, without user, path, query or a slash at the end';
    return { rule, fix };
  }
  if (!NO_HOSTS.includes(host.toLowerCase())) return undefined;
  return { rule: `must name a host that other machines reach, and "${host}" is none`, fix };
}

/**
 * Where the present holder answers requests. Whoever may write the lease could have written the mark, so it is checked
 * again.
 */
export function leaderAddressOf(record: LeaseRecord): string | undefined {
  const { address } = record;
  if (!isOfAcquisition(address, record) || addressFault(address?.url) !== undefined)
    return undefined;
  return address?.url;
}
