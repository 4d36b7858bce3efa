import type { ResolvedElectionOptions } from '../../core/election-options.js';
import { LeaderElectionOptionsError, LockRequestError } from '../../core/errors.js';
import type { ReadOutcome, ResourceLock } from '../../core/resource-lock.js';
import type { PodEnvironment } from '../../kubernetes/connection/pod-environment.js';
import { type Command, type CommandCall, EXIT, isSet, textOf, UsageError } from '../command.js';
import {
  clusterOptions,
  CONNECTION_OPTIONS,
  leaseDirectoryOf,
  leaseNameOf,
  lockFactoryOf,
  type LeaseName,
  operatorName,
  podEnvironmentOf,
} from '../connection.js';
import { clockFindings } from './clock-checks.js';
import { ClusterApi } from './cluster-api.js';
import {
  configurationFindings,
  directoryFindings,
  optionFindings,
  podEnvironmentFindings,
} from './configuration-checks.js';
import { fault, type Finding, type Severity } from './finding.js';
import { leaseFindings } from './lease-checks.js';
import { podFindings } from './pod-checks.js';
import { FEATURES, type Feature, rightsFindings } from './rights-checks.js';
import { serverFindings } from './server-checks.js';
import { writeFindings } from './write-checks.js';

/** All that is asked of a server ends within this time, so that a doctor at three in the morning is not waited for. */
const LIMIT_MS = 4_500;

const SIGNS: Readonly<Record<Severity, string>> = {
  ok: 'ok     ',
  warning: 'WARNING',
  error: 'ERROR  ',
};

export const DOCTOR: Command = {
  name: 'doctor',
  summary: 'Say what is wrong with an election, and what to do about it.',
  usage: '--lease NAME [--role NAME] [options]',
  details:
    'Looks at the configuration, the way to the API server, TLS, rights, clocks, the latency of writes (by dry runs), the ' +
    'lease as it stands and the pods of the application. Writes nothing, and ends within 5 s. Exit code 1 if there is an error.',
  options: {
    ...CONNECTION_OPTIONS,
    profile: {
      type: 'string',
      value: 'fast|default|quiet',
      help: 'the option profile of the application',
    },
    'lease-duration-ms': { type: 'string', value: 'N', help: 'the option leaseDurationMs' },
    'renew-deadline-ms': { type: 'string', value: 'N', help: 'the option renewDeadlineMs' },
    'retry-period-ms': { type: 'string', value: 'N', help: 'the option retryPeriodMs' },
    'request-timeout-ms': { type: 'string', value: 'N', help: 'the option requestTimeoutMs' },
    'drain-timeout-ms': { type: 'string', value: 'N', help: 'the option drainTimeoutMs' },
    application: { type: 'string', value: 'NAME', help: 'the option application' },
    'no-create': { type: 'boolean', help: 'the option createLease is false' },
    'service-account': {
      type: 'string',
      value: 'NAME',
      help: 'whose rights to look at; default: your own',
    },
    features: { type: 'string', value: FEATURES.join(','), help: 'what the application uses' },
    selector: {
      type: 'string',
      value: 'LABELS',
      help: 'of the pods of the application, e.g. app=plan',
    },
  },
  run: async (call) => {
    const findings = await examine(call);
    report(call, findings);
    return findings.some(({ severity }) => severity === 'error') ? EXIT.refused : EXIT.done;
  },
};

/** @param pod where the command runs; a test's own */
export async function examine(
  call: CommandCall,
  pod: PodEnvironment = podEnvironmentOf(call),
): Promise<readonly Finding[]> {
  const name = leaseNameOf(call);
  const features = featuresOf(call);
  const { options, findings } = configurationFindings(call, name);
  if (options === undefined) return findings;
  const isFile = textOf(call, 'lock') === 'file';
  const found = isFile
    ? await examineFile(call, name, options)
    : await examineCluster(call, name, options, features, pod);
  return [...findings, ...found];
}

async function examineFile(
  call: CommandCall,
  name: LeaseName,
  options: ResolvedElectionOptions,
): Promise<readonly Finding[]> {
  const opened = await openLock(call, name);
  if (!('lock' in opened)) return opened.findings;
  const { lock } = opened;
  const directory = leaseDirectoryOf(call);
  const findings = await directoryFindings(directory);
  const isMissing = findings.some(({ code }) => code === 'file.no-directory');
  const outcome: ReadOutcome = isMissing ? { kind: 'absent' } : await read(lock, LIMIT_MS);
  return [...findings, ...leaseOf(call, lock, outcome, options)];
}

async function examineCluster(
  call: CommandCall,
  name: LeaseName,
  options: ResolvedElectionOptions,
  features: readonly Feature[],
  pod: PodEnvironment,
): Promise<readonly Finding[]> {
  const findings: Finding[] = podEnvironmentFindings(pod, name.namespace, Date.now());
  let api: ClusterApi;
  try {
    const requester = { ...name, identity: operatorName(call), createLease: false };
    api = await ClusterApi.open(clusterOptions(call, pod), requester, pod, LIMIT_MS);
  } catch (error) {
    const unopened = openFindings(error);
    // What a pod lacks has been found already, one by one.
    if (findings.some(({ code }) => code === 'pod.incomplete')) return findings;
    return [...findings, ...unopened];
  }
  try {
    const server = await serverFindings(api);
    findings.push(...server);
    if (server.some(({ severity }) => severity === 'error')) return findings;
    const opened = await openLock(call, name);
    if (!('lock' in opened)) return [...findings, ...opened.findings];
    const { lock } = opened;
    const outcome = await read(lock, api.leftMs);
    const record = outcome.kind === 'found' ? outcome.stored.record : undefined;
    const lockName = textOf(call, 'lock') ?? 'lease';
    const rights = {
      configMap: lockName === 'config-map' ? (textOf(call, 'config-map') ?? 'leaders') : undefined,
      serviceAccount: textOf(call, 'service-account') ?? null,
      leaseName: name.leaseName,
      features,
    };
    const fleet = {
      holderIdentity: record?.holderIdentity ?? '',
      selector: textOf(call, 'selector'),
      drainTimeoutMs: options.drainTimeoutMs,
      requestTimeoutMs: options.requestTimeoutMs,
    };
    const found = await Promise.all([
      rightsFindings(api, rights),
      lockName === 'lease' ? writeFindings(api, name.leaseName, options) : [],
      podFindings(api, fleet),
      clockFindings(api),
    ]);
    await lock.close?.();
    return [...findings, ...found.flat(), ...leaseOf(call, lock, outcome, options)];
  } finally {
    api.close();
  }
}

type Opened = { readonly lock: ResourceLock } | { readonly findings: readonly Finding[] };

async function openLock(call: CommandCall, name: LeaseName): Promise<Opened> {
  try {
    const factory = lockFactoryOf(call);
    return { lock: await factory({ ...name, identity: operatorName(call), createLease: false }) };
  } catch (error) {
    return { findings: openFindings(error) };
  }
}

/**
 * Each option that is wrong, or why there is no connection.
 *
 * @throws what is neither
 */
function openFindings(error: unknown): readonly Finding[] {
  if (error instanceof LeaderElectionOptionsError) return optionFindings(error);
  if (!(error instanceof LockRequestError)) throw error;
  return [fault('connection.unusable', error.message, 'Mend what the message names.')];
}

function read(lock: ResourceLock, timeoutMs: number): Promise<ReadOutcome> {
  return lock.read({ timeoutMs, signal: new AbortController().signal });
}

function leaseOf(
  call: CommandCall,
  lock: ResourceLock,
  outcome: ReadOutcome,
  options: ResolvedElectionOptions,
): readonly Finding[] {
  const { leaseDurationMs } = options;
  const expected = {
    leaseDurationMs,
    application: textOf(call, 'application'),
    createLease: !isSet(call, 'no-create'),
  };
  return leaseFindings(outcome, lock.describe(), expected, Date.now());
}

function featuresOf(call: CommandCall): readonly Feature[] {
  const given = (textOf(call, 'features') ?? '').split(',').filter((name) => name !== '');
  const unknown = given.filter((name) => !FEATURES.includes(name as Feature));
  if (unknown.length > 0)
    throw new UsageError(`--features ${unknown.join(',')}: must be of ${FEATURES.join(', ')}`);
  return given as Feature[];
}

const ORDER: readonly Severity[] = ['error', 'warning', 'ok'];

function report({ output }: CommandCall, findings: readonly Finding[]): void {
  const sorted = ORDER.flatMap((severity) => findings.filter((each) => each.severity === severity));
  output.result({ ok: !sorted.some(({ severity }) => severity === 'error'), findings: sorted });
  for (const { severity, code, what, fix } of sorted) {
    output.say(`${SIGNS[severity]} ${code}: ${what}`);
    if (fix !== undefined)
      output.say(
        fix
          .split('\n')
          .map((line) => `        ${line}`)
          .join('\n'),
      );
  }
  const count = (severity: Severity): number =>
    sorted.filter((each) => each.severity === severity).length;
  output.say(`\n${count('error')} errors, ${count('warning')} warnings`);
}
