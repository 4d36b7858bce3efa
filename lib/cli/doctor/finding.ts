import type { Verb } from '../../kubernetes/object-request.js';

/** How bad something is. `ok`: as it should be. */
export type Severity = 'ok' | 'warning' | 'error';

/**
 * The codes of what is as it should be. Those of both lists are part of the interface: they are the same in every version,
 * and docs/cli.md has them.
 */
export const WELL_CODES = [
  'clock.sane',
  'config.fit',
  'fleet.ready',
  'holder.terminating',
  'lease.held',
  'lease.missing',
  'lease.released',
  'rights.fit',
  'server.reachable',
  'write.fast',
] as const;

/** The codes of what is wrong; a part in angle brackets differs from case to case. */
export const FAULT_CODES = [
  'certificate.expired',
  'certificate.name',
  'certificate.not-yet-valid',
  'certificate.untrusted',
  'clock.rate',
  'clock.skew',
  'clock.step',
  'clock.unknown',
  'config.<option>',
  'connection.unusable',
  'credentials.refused',
  'credentials.unreadable',
  'file.network',
  'file.no-directory',
  'fleet.empty',
  'fleet.mixed-images',
  'fleet.mixed-pods',
  'fleet.none-ready',
  'fleet.single',
  'holder.ended',
  'holder.no-pod',
  'holder.not-ready',
  'holder.other-fleet',
  'lease.being-deleted',
  'lease.coordinated',
  'lease.expired',
  'lease.foreign-holder',
  'lease.future',
  'lease.malformed',
  'lease.missing',
  'lease.mixed-settings',
  'lease.owned',
  'lease.two-applications',
  'lease.unreadable',
  'lease.without-holder',
  'namespace.missing',
  'pod.grace-period',
  'pod.incomplete',
  'pod.no-namespace',
  'pod.other-namespace',
  'rights.any-lease',
  'rights.delete',
  'rights.everything',
  'rights.missing-<verb>-<resource>',
  'rights.other-namespaces',
  'rights.secrets',
  'rights.unknown',
  'server.failing',
  'server.name',
  'server.no-route',
  'server.not-kubernetes',
  'server.not-tls',
  'server.proxy',
  'server.redirects',
  'server.refused',
  'server.reset',
  'server.throttled',
  'server.timeout',
  'server.unreachable',
  'token.empty',
  'token.expired',
  'token.not-yet-valid',
  'write.altered',
  'write.denied',
  'write.refused',
  'write.slow',
  'write.too-slow',
  'write.unmeasured',
] as const;

type WellCode = (typeof WELL_CODES)[number];
type OneOfFaultCodes = (typeof FAULT_CODES)[number];

/** A code of the list, with its angle brackets filled in. */
export type FaultCode =
  | Exclude<OneOfFaultCodes, `${string}<${string}`>
  | `config.${string}`
  | `rights.missing-${Verb}-${string}`;

/** One thing that was found, and what to do about it. */
export interface Finding {
  /** E.g. `server.refused`. */
  readonly code: WellCode | FaultCode;
  readonly severity: Severity;
  /** What was found, in one sentence. */
  readonly what: string;
  /** What to do; absent where nothing has to be done. */
  readonly fix?: string;
}

export function ok(code: WellCode, what: string): Finding {
  return { code, severity: 'ok', what };
}

export function warning(code: FaultCode, what: string, fix: string): Finding {
  return { code, severity: 'warning', what, fix };
}

export function fault(code: FaultCode, what: string, fix: string): Finding {
  return { code, severity: 'error', what, fix };
}
