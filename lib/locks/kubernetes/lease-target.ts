import { LeaderElectionOptionsError, LockRequestError } from '../../core/errors.js';
import type { LockRequester, ReadOutcome, WriteOutcome } from '../../core/resource-lock.js';
import { messageOf } from '../../core/thrown-value.js';
import {
  explainNoAnswer,
  explainResponse,
  explainUnusable,
} from '../../kubernetes/answer-messages.js';
import {
  isObjectMissing,
  isVersionConflict,
  provesNotApplied,
} from '../../kubernetes/api-status.js';
import type { ClusterConnection } from '../../kubernetes/connection/cluster-connection.js';
import { InClusterConnection } from '../../kubernetes/connection/in-cluster.connection.js';
import {
  type ApiAnswer,
  type ApiResponse,
  type RequestContext,
  configMapAddress,
  leaseAddress,
  type ObjectAddress,
  type Verb,
} from '../../kubernetes/object-request.js';
import type { PodEnvironment } from '../../kubernetes/connection/pod-environment.js';
import type { ClusterChoice } from './cluster-choice.js';
import type { DecodedLease, LeaseDecoder } from './lease-object.js';
import type { WriteTurns } from './write-turns.js';

/** The object that a lock keeps its record in. */
export type LockObject =
  | { readonly kind: 'Lease' }
  | {
      readonly kind: 'ConfigMap';
      readonly name: string;
      /** In the annotation that client-go uses, which has room for a single record. */
      readonly isClientGo: boolean;
      /** Of this process, whose other leases are in the same object. */
      readonly turns: WriteTurns;
    };

const ADDRESS_OF = { Lease: leaseAddress, ConfigMap: configMapAddress };

/** The cluster and the object of one lock. */
export class LeaseTarget {
  private constructor(
    readonly connection: ClusterConnection,
    readonly kind: LockObject['kind'],
    private readonly name: string,
    private readonly leaseName: string,
    /** Undefined as long as it depends on a kubeconfig that cannot be read. */
    private known: string | undefined,
    private readonly askNamespace: () => Promise<string | undefined>,
  ) {}

  /**
   * Rejects only for errors that retrying cannot fix, such as a missing namespace. An unreadable kubeconfig or token is
   * left to the requests, each of which tries again.
   */
  static async find(
    choice: ClusterChoice,
    object: LockObject,
    { namespace, leaseName }: LockRequester,
    pod: PodEnvironment,
  ): Promise<LeaseTarget> {
    const { kind } = object;
    const name = object.kind === 'ConfigMap' ? object.name : leaseName;
    if (choice.kind === 'in-cluster') {
      const own = namespace ?? pod.namespace();
      if (own === undefined) throw namespaceMissing(kind, `the pod has no ${pod.namespaceFile}`);
      const connection = new InClusterConnection(pod);
      return new LeaseTarget(connection, kind, name, leaseName, own, async () => own);
    }
    // Most applications run in the cluster that they elect in.
    const { connectionOf, permanentFault } = await import('./kubeconfig-target.js');
    const connection = connectionOf(choice);
    const ask = () => connection.namespace();
    const target = new LeaseTarget(connection, kind, name, leaseName, namespace, ask);
    try {
      const inContext = await ask();
      if ((target.known ??= inContext) === undefined) {
        throw namespaceMissing(kind, NO_CONTEXT_NAMESPACE);
      }
    } catch (error) {
      const fault = permanentFault(error, kind, choice.source);
      if (fault !== undefined) throw new LeaderElectionOptionsError([fault]);
      if (!(error instanceof LockRequestError)) throw error;
    }
    return target;
  }

  async address(): Promise<ObjectAddress> {
    this.known ??= await this.askNamespace();
    if (this.known === undefined) {
      const { message } = namespaceMissing(this.kind, NO_CONTEXT_NAMESPACE);
      throw new LockRequestError(message, { reason: 'unreachable' });
    }
    return ADDRESS_OF[this.kind](this.known, this.name);
  }

  /** What messages about a request need. If the kubeconfig that names the namespace is unreadable, nothing is sent. */
  async contextFor(verb: Verb): Promise<RequestContext | LockRequestError> {
    const { connection } = this;
    try {
      const address = await this.address();
      return { verb, address, describeCredentials: () => connection.describeCredentials() };
    } catch (cause) {
      if (cause instanceof LockRequestError) return cause;
      return new LockRequestError(`${verb} ${this.describe()}: ${messageOf(cause)}`, {
        reason: 'unreachable',
        cause,
      });
    }
  }

  /** Another object of the same cluster and namespace, named `<leaseName>-<suffix>`. */
  sibling(suffix: string): LeaseTarget {
    const name = `${this.leaseName}-${suffix}`;
    if (name.length > MAX_NAME) throw nameTooLong(this.kind, this.leaseName, suffix);
    const { connection, kind, leaseName, known, askNamespace } = this;
    return new LeaseTarget(connection, kind, name, leaseName, known, askNamespace);
  }

  describe(): string {
    return `${this.kind} ${this.known ?? '(namespace of the kubeconfig)'}/${this.name}`;
  }
}

/** Names of objects are DNS subdomains. */
const MAX_NAME = 253;

function nameTooLong(
  kind: LockObject['kind'],
  leaseName: string,
  suffix: string,
): LeaderElectionOptionsError {
  const most = MAX_NAME - suffix.length - 1;
  return new LeaderElectionOptionsError([
    {
      field: 'leaseName',
      value: leaseName,
      rule: `must have at most ${most} characters, as another ${kind} is named <leaseName>-${suffix}`,
      fix: 'shorten it',
    },
  ]);
}

const NO_CONTEXT_NAMESPACE = 'the context of the kubeconfig names none';

function namespaceMissing(kind: LockObject['kind'], why: string): LeaderElectionOptionsError {
  return new LeaderElectionOptionsError([
    {
      field: 'namespace',
      value: undefined,
      rule: `the namespace of the ${kind} must be known, and ${why}`,
      fix: "set the option namespace, e.g. namespace: 'default', if that is where the replicas run",
    },
  ]);
}

/** What an answer to a GET of the object means. */
export function readOutcome(
  context: RequestContext,
  answer: ApiAnswer,
  decode: LeaseDecoder,
): ReadOutcome {
  if (answer.kind !== 'response')
    return { kind: 'failed', error: explainNoAnswer(context, answer) };
  if (answer.status === 200) {
    const decoded = decodeBody(context, answer, decode);
    return decoded.kind === 'lease'
      ? { kind: 'found', stored: decoded.lease }
      : { kind: 'failed', error: explainUnusable(context, answer, decoded.problem) };
  }
  if (isObjectMissing(answer, context.address)) return { kind: 'absent' };
  return { kind: 'failed', error: explainResponse(context, answer) };
}

/** What an answer to a POST or PUT of the object means (R9). */
export function writeOutcome(
  context: RequestContext,
  answer: ApiAnswer,
  signal: AbortSignal,
  decode: LeaseDecoder,
): WriteOutcome {
  if (answer.kind !== 'response') {
    const error = explainNoAnswer(context, answer);
    // The port promises `unknown` for a write that the election abandoned, whatever had become of it by then.
    return answer.kind === 'not-sent' && !signal.aborted
      ? { kind: 'not-applied', error }
      : { kind: 'unknown', error };
  }
  const { status } = answer;
  if (status === 200 || status === 201) return applied(context, answer, decode);
  if (isVersionConflict(context.verb, answer, context.address)) return { kind: 'conflict' };
  if (context.verb === 'update' && isObjectMissing(answer, context.address))
    return { kind: 'absent' };
  const error = explainResponse(context, answer);
  return provesNotApplied(answer) ? { kind: 'not-applied', error } : { kind: 'unknown', error };
}

/** A success counts only with the written object: the next write needs its version. */
function applied(context: RequestContext, answer: ApiResponse, decode: LeaseDecoder): WriteOutcome {
  const decoded = decodeBody(context, answer, decode);
  return decoded.kind === 'lease'
    ? { kind: 'applied', stored: decoded.lease }
    : { kind: 'unknown', error: explainUnusable(context, answer, decoded.problem) };
}

function decodeBody(
  { address }: RequestContext,
  { body }: ApiResponse,
  decode: LeaseDecoder,
): DecodedLease {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { kind: 'unusable', problem: body === '' ? 'has no body' : 'is not JSON' };
  }
  return decode(json, address);
}
