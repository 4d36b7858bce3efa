import { hostname } from 'node:os';
import { readFileSync, statfsSync } from 'node:fs';
import {
  type ResolvedElectionOptions,
  resolveElectionOptions,
} from '../../core/election-options.js';
import { LeaderElectionOptionsError } from '../../core/errors.js';
import { claimsOf, type PodEnvironment } from '../../kubernetes/connection/pod-environment.js';
import type { FileLockDirectory } from '../../locks/file/lease-paths.js';
import { type CommandCall, millisecondsOf, textOf } from '../command.js';
import type { LeaseName } from '../connection.js';
import { electionTimesOf, given } from '../election-options.js';
import { fault, type Finding, ok, warning } from './finding.js';

export interface Configuration {
  /** Undefined where they cannot be used. */
  readonly options: ResolvedElectionOptions | undefined;
  readonly findings: readonly Finding[];
}

/** The options of the election as the application would check them. */
export function configurationFindings(
  call: CommandCall,
  { role, leaseName, namespace }: LeaseName,
): Configuration {
  const options = {
    ...electionTimesOf(call),
    role,
    leaseName,
    ...given({
      namespace,
      requestTimeoutMs: millisecondsOf(call, 'request-timeout-ms'),
      drainTimeoutMs: millisecondsOf(call, 'drain-timeout-ms'),
      application: textOf(call, 'application'),
    }),
  };
  try {
    const resolved = resolveElectionOptions(options, hostname());
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = resolved;
    const times = `${leaseDurationMs / 1_000} s, ${renewDeadlineMs / 1_000} s and ${retryPeriodMs / 1_000} s`;
    return {
      options: resolved,
      findings: [
        ok(
          'config.fit',
          `lease duration, renew deadline and retry period fit each other: ${times}`,
        ),
      ],
    };
  } catch (error) {
    if (!(error instanceof LeaderElectionOptionsError)) throw error;
    return { options: undefined, findings: optionFindings(error) };
  }
}

export function optionFindings({ faults }: LeaderElectionOptionsError): Finding[] {
  return faults.map(({ field, value, rule, fix }) =>
    fault(`config.${field}`, `${field} = ${JSON.stringify(value) ?? 'undefined'} ${rule}`, fix),
  );
}

/** What the pod gives its processes, if this is one. */
export function podEnvironmentFindings(
  pod: PodEnvironment,
  namespace: string | undefined,
  now: number,
): Finding[] {
  const sign = pod.sign();
  if (sign === undefined) return [];
  const findings: Finding[] = pod
    .lacks()
    .map(({ what, fix }) => fault('pod.incomplete', `this is a pod (${sign}), and ${what}`, fix));
  const own = pod.namespace();
  if (own === undefined) {
    findings.push(
      warning(
        'pod.no-namespace',
        `this is a pod (${sign}), and nothing says its namespace`,
        'Set POD_NAMESPACE by the downward API, or name the option namespace.',
      ),
    );
  } else if (namespace !== undefined && namespace !== own) {
    findings.push(
      warning(
        'pod.other-namespace',
        `the lease is in namespace ${namespace}, and this pod is in ${own}`,
        'Leave the option namespace out, unless the replicas are in several namespaces.',
      ),
    );
  }
  return [...findings, ...tokenFindings(pod, now)];
}

function tokenFindings({ tokenFile }: PodEnvironment, now: number): Finding[] {
  let token: string;
  try {
    token = readFileSync(tokenFile, 'utf8').trim();
  } catch {
    // That it is not there is found by what the pod lacks, and that it cannot be read by the first request.
    return [];
  }
  if (token === '') {
    return [
      fault(
        'token.empty',
        `the service account's token is empty: ${tokenFile}`,
        'Mount the token: automountServiceAccountToken, or a projected volume.',
      ),
    ];
  }
  const { exp, nbf } = claimsOf(token) ?? {};
  if (typeof exp === 'number' && exp * 1_000 < now) {
    return [
      fault(
        'token.expired',
        `the service account's token expired at ${new Date(exp * 1_000).toISOString()}: ${tokenFile}`,
        'The kubelet renews it: look at the kubelet and at the clock of this machine, and do not copy tokens.',
      ),
    ];
  }
  if (typeof nbf === 'number' && nbf * 1_000 > now + 60_000) {
    return [
      fault(
        'token.not-yet-valid',
        `the service account's token is not valid before ${new Date(nbf * 1_000).toISOString()}`,
        'Set the clock of this machine by NTP.',
      ),
    ];
  }
  return [];
}

/** File systems on which a lock of one machine is none: the processes of other machines see it too, or late. */
const NETWORK_FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB',
  0x01021997: '9p',
  0x65735546: 'FUSE',
};

/** @param statfs of the directory; a test's own */
export async function directoryFindings(
  directory: FileLockDirectory,
  statfs: (path: string) => { readonly type: number } = statfsSync,
): Promise<Finding[]> {
  // What cannot be looked at is found by the first request.
  if (await directory.exists().catch(() => true)) return networkFindings(directory, statfs);
  const { what, fix } = directory.describeMissing();
  return [warning('file.no-directory', what, `${fix[0]!.toUpperCase()}${fix.slice(1)}.`)];
}

function networkFindings(
  { path, isDefault }: FileLockDirectory,
  statfs: (path: string) => { readonly type: number },
): Finding[] {
  if (isDefault) return [];
  let type: number;
  try {
    ({ type } = statfs(path));
  } catch {
    // That it cannot be read is found by the first request.
    return [];
  }
  const name = NETWORK_FILE_SYSTEMS[type];
  if (name === undefined) return [];
  return [
    warning(
      'file.network',
      `${path} is on ${name}: the file lock is for processes of one machine`,
      'Choose a directory on a local disk, or a Lease for several machines.',
    ),
  ];
}
