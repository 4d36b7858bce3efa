import { type ElectionConfig, RETRY_BACKOFF_MS } from './election-state.js';
import { addressFault } from './leader-address.js';
import { OptionReader, textFault } from './option-reader.js';

/** Times that fit each other: see `ElectionOptions.profile`. */
export type ElectionProfile = 'fast' | 'default' | 'quiet';

/** The options of one role's election, as users write them. */
export interface ElectionOptions {
  /**
   * Name of what is led, e.g. `plan-scheduler`, in decorators, tokens and logs. Import the module once for each role.
   * @example
   * role: 'plan-scheduler'
   */
  readonly role: string;
  /**
   * Name of the lease that the replicas compete for: a DNS-1123 subdomain. Two applications that share one name and
   * namespace share one leader.
   * @default the role
   * @example
   * leaseName: 'plans.plan-scheduler'
   */
  readonly leaseName?: string;
  /**
   * Namespace of the lease: a DNS-1123 label. Never a guess.
   * @default the pod's own, or that of the kubeconfig's context
   * @example
   * namespace: 'plans'
   */
  readonly namespace?: string;
  /**
   * Holder identity; must be different in every process (R8), also after a restart. Processes
   * that share one by mistake wait for each other's lease to expire, as a process takes a record for its own only if it
   * bears the acquire time that the process itself has sent. Read a random part from the kernel, for example from
   * `/proc/sys/kernel/random/uuid`: the one that Node.js draws may be the same in a machine that was cloned or restored.
   * @default `<pod or host>_<uuid>`
   * @example
   * identity: `${process.env['POD_NAME']}_${uuidOfKernel()}`
   */
  readonly identity?: string;
  /**
   * Which application this is, e.g. `plan-scheduler`: the same in all its replicas. It is written beside the holder, and
   * an application that follows the leader of another one warns. At most 253 characters.
   * @default OTEL_SERVICE_NAME, or the name in the package.json of the program; none if this option would refuse it
   * @example
   * application: 'plan-scheduler'
   */
  readonly application?: string;
  /**
   * Where this process answers HTTP requests, as scheme, host and port: `http://10.1.2.3:3000`. Others learn it while it
   * leads, as `leaderAddress`. It must lead to this very process, so it is that of the pod and not that of a Service. It is
   * written with the record of the holder and costs no write.
   * @default none: the leader has no address
   * @see docs/handlers.md#the-leaders-address
   * @example
   * address: `http://${process.env['POD_IP']}:3000`
   */
  readonly address?: string;
  /**
   * Where the times that are not given come from: `leaseDurationMs`, `renewDeadlineMs` and `retryPeriodMs` in milliseconds.
   * - `fast`: 5,000, 3,333 and 600, for a failover within seconds, with 100 renewals a minute.
   * - `default`: 15,000, 10,000 and 2,000.
   * - `quiet`: 60,000, 40,000 and 20,000, for 3 renewals a minute. With `podWatch` a container that dies need not be
   *   waited for that long.
   * @default 'default'
   * @see docs/options.md#durations
   * @example
   * profile: 'fast'
   */
  readonly profile?: ElectionProfile;
  /**
   * How long other replicas wait after the last renewal they saw before they take over, in milliseconds: whole seconds, at
   * least 2,000. (LeaseSpec.leaseDurationSeconds)
   * @default 15_000, or that of the `profile`
   * @see docs/options.md#durations
   * @example
   * leaseDurationMs: 30_000
   */
  readonly leaseDurationMs?: number;
  /**
   * How long leadership lasts from the start of the last successful renewal, in milliseconds: at most 0.8 of
   * `leaseDurationMs`. The gap between the two is the margin for clocks that run at different rates.
   * @default 10_000, or two thirds of `leaseDurationMs`
   * @see docs/options.md#durations
   * @example
   * renewDeadlineMs: 12_000
   */
  readonly renewDeadlineMs?: number;
  /**
   * Time between the starts of two renewals, and between two attempts of a candidate, in milliseconds, at least 100.
   * @default 2_000, or a fifth of `renewDeadlineMs` if that is less; see `profile`
   * @see docs/options.md#durations
   * @example
   * retryPeriodMs: 1_000
   */
  readonly retryPeriodMs?: number;
  /**
   * Timeout of one request in milliseconds, at least 100; the first value of one that grows by itself behind a server
   * that answers slowly, so that a larger one is not needed for that. One lost request must not cost leadership:
   * `retryPeriodMs + requestTimeoutMs + 250 <= renewDeadlineMs`.
   * @default 3_000, or what leaves time for two lost requests if that is less
   * @see docs/safety.md#slow-api-servers
   * @example
   * requestTimeoutMs: 2_000
   */
  readonly requestTimeoutMs?: number;
  /**
   * How long the end of a term waits, in milliseconds, for `@OnRevoked` handlers and for gated work in flight, while
   * the lease is still renewed. If they take longer, the lease is left to expire instead of being released. 0: no wait. With two
   * `requestTimeoutMs` and the sleep of a `preStop` hook it must fit into the pod's `terminationGracePeriodSeconds` (30 s unless set).
   * @default 20_000
   * @example
   * drainTimeoutMs: 15_000
   */
  readonly drainTimeoutMs?: number;
  /**
   * Release the lease on shutdown, so that the next leader need not wait for it to expire.
   * @default true
   * @example
   * releaseOnShutdown: false
   */
  readonly releaseOnShutdown?: boolean;
  /**
   * Exclusion even if people delete or edit the lease by hand: every acquisition that does not follow a clean release
   * holds the lease for one lease duration before it is granted (R13). Failover after a crash takes that much longer.
   * @default false
   * @example
   * strict: true
   */
  readonly strict?: boolean;
  /**
   * How long this process must have been ineligible to lead before that counts, in milliseconds, and then how long
   * eligible. An ineligible process leaves the lease to others, and hands it over if it leads (R25).
   * @default 5_000
   * @see docs/lifecycle.md#eligibility
   * @example
   * ineligibleGraceMs: 10_000
   */
  readonly ineligibleGraceMs?: number;
  /**
   * Record Kubernetes Events: on the Lease that this process became leader or stopped leading and why, and missed ticks on
   * the object with the record of their job. No election waits for them, and one may be lost. Needs the verbs create and patch
   * on events. Without a Lease it does nothing.
   * @default false
   * @see docs/operations.md#kubernetes-events
   * @example
   * events: true
   */
  readonly events?: boolean;
}

export interface ResolvedElectionOptions extends ElectionConfig {
  readonly events: boolean;
  readonly leaseName: string;
  readonly namespace: string | undefined;
}

/** The renew deadline is two thirds of the lease duration, whatever that comes from. */
const PROFILES = {
  fast: { leaseDurationMs: 5_000, retryPeriodMs: 600, retriesPerDeadline: 5 },
  default: { leaseDurationMs: 15_000, retryPeriodMs: 2_000, retriesPerDeadline: 5 },
  quiet: { leaseDurationMs: 60_000, retryPeriodMs: 20_000, retriesPerDeadline: 2 },
} as const;
const PROFILE_NAMES = Object.keys(PROFILES) as ElectionProfile[];
const DEFAULT_REQUEST_TIMEOUT_MS = 3_000;
const DEFAULT_DRAIN_TIMEOUT_MS = 20_000;
const DEFAULT_INELIGIBLE_GRACE_MS = 5_000;

/** Share of the lease duration that the renew deadline may take up (R2). */
const LARGEST_DEADLINE_SHARE = 0.8;
/** Of retryPeriodMs and requestTimeoutMs. */
const SHORTEST_PERIOD_MS = 100;
/** The longest timer of the platform, in whole seconds. */
const LONGEST_LEASE_S = 2_147_483;

export const ELECTION_OPTION_NAMES = [
  'role',
  'leaseName',
  'namespace',
  'identity',
  'application',
  'address',
  'profile',
  'leaseDurationMs',
  'renewDeadlineMs',
  'retryPeriodMs',
  'requestTimeoutMs',
  'drainTimeoutMs',
  'events',
  'releaseOnShutdown',
  'strict',
  'ineligibleGraceMs',
] as const satisfies readonly (keyof ElectionOptions)[];

/**
 * The only place for defaults and checks. Faults go to the reader, which throws them all at once at its `check()`;
 * what is returned may be used only after that.
 */
export function readElectionOptions(
  reader: OptionReader,
  defaultIdentity: string,
  defaultApplication?: string,
): ResolvedElectionOptions {
  const role = reader.required('role', reader.text('role', 'plan-scheduler'), 'plan-scheduler');
  return {
    role,
    leaseName: readLeaseName(reader, role),
    namespace: readNamespace(reader),
    identity: reader.text('identity', defaultIdentity) ?? defaultIdentity,
    application:
      reader.text('application', 'plan-scheduler', LONGEST_APPLICATION) ?? defaultApplication,
    address: readAddress(reader),
    ...readDurations(reader),
    drainTimeoutMs: reader.milliseconds('drainTimeoutMs', DEFAULT_DRAIN_TIMEOUT_MS, 0),
    releaseOnShutdown: reader.boolean('releaseOnShutdown', true),
    strict: reader.boolean('strict', false),
    ineligibleGraceMs: reader.milliseconds('ineligibleGraceMs', DEFAULT_INELIGIBLE_GRACE_MS, 0),
    events: reader.boolean('events', false),
  };
}

/** Reads, checks and completes the options of one role. @throws LeaderElectionOptionsError with every fault found. */
export function resolveElectionOptions(
  raw: unknown,
  defaultIdentity: string,
): ResolvedElectionOptions {
  const reader = new OptionReader(raw, ELECTION_OPTION_NAMES);
  const resolved = readElectionOptions(reader, defaultIdentity);
  reader.check();
  return resolved;
}

function readAddress(reader: OptionReader): string | undefined {
  const address = reader.get('address');
  if (address === undefined) return undefined;
  const fault = addressFault(address);
  if (fault === undefined) return address as string;
  reader.fault('address', address, fault.rule, fault.fix);
  return undefined;
}

/** Room for a package name of npm with a folder; an annotation has far more. */
const LONGEST_APPLICATION = 253;

/** Whether a name found in the environment would pass as the option `application`. */
export function isApplicationName(name: string): boolean {
  return textFault(name, '', LONGEST_APPLICATION) === undefined;
}

const DNS_LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const LONGEST_NAME = 253;
const DNS_SUBDOMAIN = new RegExp(`^${DNS_LABEL}(\\.${DNS_LABEL})*$`);

function readLeaseName(reader: OptionReader, role: string): string {
  const given = reader.text('leaseName', 'plan-scheduler');
  if (given === undefined && reader.get('leaseName') !== undefined) return role;
  const leaseName = given ?? role;
  if (leaseName !== '' && !(DNS_SUBDOMAIN.test(leaseName) && leaseName.length <= LONGEST_NAME)) {
    const rule = `must be a DNS-1123 subdomain: lower-case letters, digits, "-" and ".", at most ${LONGEST_NAME} characters`;
    const example = `for example "${subdomainLike(leaseName)}"`;
    if (given !== undefined) reader.fault('leaseName', leaseName, rule, `rename it, ${example}`);
    else {
      const fix = `give a leaseName, as the role is not one, ${example}`;
      reader.faultOfDefault('leaseName', leaseName, rule, fix);
    }
  }
  return leaseName;
}

/** The nearest name that is allowed. */
function subdomainLike(name: string): string {
  const labels = name.toLowerCase().split('.');
  const allowed = labels.map(labelLike).filter((label) => label !== '');
  // Cutting off may leave a separator at the end.
  return (
    allowed
      .join('.')
      .slice(0, LONGEST_NAME)
      .replace(/[-.]+$/, '') || 'plan-scheduler'
  );
}

function labelLike(part: string): string {
  return part.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
}

function readNamespace(reader: OptionReader): string | undefined {
  const namespace = reader.text('namespace', 'my-namespace');
  const valid = new RegExp(`^${DNS_LABEL}$`);
  if (namespace !== undefined && !(valid.test(namespace) && namespace.length <= 63)) {
    const rule =
      'must be a DNS-1123 label: lower-case letters, digits and "-", at most 63 characters';
    reader.fault('namespace', namespace, rule, 'use the name that "kubectl get namespaces" prints');
  }
  return namespace;
}

type Durations = Pick<
  ElectionConfig,
  'leaseDurationMs' | 'renewDeadlineMs' | 'retryPeriodMs' | 'requestTimeoutMs'
>;

function readDurations(reader: OptionReader): Durations {
  const before = reader.faultCount;
  const profile = PROFILES[reader.oneOf('profile', PROFILE_NAMES, 'default')];
  const leaseDurationMs = reader.milliseconds('leaseDurationMs', profile.leaseDurationMs, 2_000);
  const renewDeadlineMs = reader.milliseconds(
    'renewDeadlineMs',
    Math.floor((leaseDurationMs * 2) / 3),
    1,
  );
  const retryPeriodMs = reader.milliseconds(
    'retryPeriodMs',
    Math.max(
      SHORTEST_PERIOD_MS,
      Math.min(profile.retryPeriodMs, Math.floor(renewDeadlineMs / profile.retriesPerDeadline)),
    ),
    SHORTEST_PERIOD_MS,
  );
  const forTwoLost = Math.floor((renewDeadlineMs - retryPeriodMs) / 2) - RETRY_BACKOFF_MS;
  const requestTimeoutMs = reader.milliseconds(
    'requestTimeoutMs',
    Math.max(SHORTEST_PERIOD_MS, Math.min(DEFAULT_REQUEST_TIMEOUT_MS, forTwoLost)),
    SHORTEST_PERIOD_MS,
  );
  const durations = { leaseDurationMs, renewDeadlineMs, retryPeriodMs, requestTimeoutMs };
  // A relation between values of which one is already known to be wrong would only confuse.
  if (reader.faultCount === before) checkRelations(reader, durations, profile.retriesPerDeadline);
  return durations;
}

/** @param retriesPerDeadline how the retry period follows the renew deadline where it is not given */
function checkRelations(
  reader: OptionReader,
  durations: Durations,
  retriesPerDeadline: number,
): void {
  const { leaseDurationMs, renewDeadlineMs, retryPeriodMs, requestTimeoutMs } = durations;
  if (leaseDurationMs % 1_000 !== 0) {
    const whole = Math.min(Math.ceil(leaseDurationMs / 1_000), LONGEST_LEASE_S) * 1_000;
    const rule = 'must be whole seconds, as a Lease stores seconds';
    reader.fault('leaseDurationMs', leaseDurationMs, rule, `use ${whole}`);
  }
  const largestDeadline = Math.floor(leaseDurationMs * LARGEST_DEADLINE_SHARE);
  if (renewDeadlineMs > largestDeadline) {
    const rule = `must be at most 0.8 of leaseDurationMs (${leaseDurationMs}): the rest is the margin for clocks that run at different rates`;
    reader.fault('renewDeadlineMs', renewDeadlineMs, rule, `use at most ${largestDeadline}`);
  }
  const lostRequest = retryPeriodMs + requestTimeoutMs + RETRY_BACKOFF_MS;
  if (lostRequest > renewDeadlineMs) {
    const rule =
      `retryPeriodMs (${retryPeriodMs}) + requestTimeoutMs (${requestTimeoutMs}) + ${RETRY_BACKOFF_MS} = ${lostRequest} ` +
      `must be at most renewDeadlineMs (${renewDeadlineMs}), or one lost request ends leadership`;
    const given = (['retryPeriodMs', 'requestTimeoutMs'] as const).find(
      (field) => reader.get(field) !== undefined,
    );
    if (given === undefined) {
      const shortest = SHORTEST_PERIOD_MS + RETRY_BACKOFF_MS;
      const growing = Math.ceil((shortest * retriesPerDeadline) / (retriesPerDeadline - 1));
      const least = Math.max(lostRequest, growing);
      reader.fault('renewDeadlineMs', renewDeadlineMs, rule, `use at least ${least}`);
    } else {
      reader.fault(given, durations[given], rule, roomForLostRequest(durations, given));
    }
  }
}

/** What makes room for one lost request: this field alone, both, or a deadline that two requests fit into at all. */
function roomForLostRequest(
  { renewDeadlineMs, retryPeriodMs, requestTimeoutMs }: Durations,
  field: 'retryPeriodMs' | 'requestTimeoutMs',
): string {
  const room = renewDeadlineMs - RETRY_BACKOFF_MS;
  const lowered = room - (field === 'retryPeriodMs' ? requestTimeoutMs : retryPeriodMs);
  if (lowered >= SHORTEST_PERIOD_MS) return `use at most ${lowered}, or raise renewDeadlineMs`;
  const half = Math.floor(room / 2);
  if (half >= SHORTEST_PERIOD_MS) return `lower both, for example to ${half}`;
  return `raise renewDeadlineMs to ${2 * SHORTEST_PERIOD_MS + RETRY_BACKOFF_MS} at least, and lower both`;
}
