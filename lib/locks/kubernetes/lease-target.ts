import {
  LeaderElectionOptionsError,
  LockRequestError,
  type OptionFault,
} from '../../core/errors.js';
import type { LockRequester } from '../../core/resource-lock.js';
import { messageOf } from '../../core/thrown-value.js';
import type { Verb } from './access-rule.js';
import { ClientNodeConnection } from './client-node.connection.js';
import type { ClusterConnection, NamespacedConnection } from './cluster-connection.js';
import { InClusterConnection } from './in-cluster.connection.js';
import { KubeconfigConnection, UnknownContextError } from './kubeconfig.connection.js';
import { ClientNodeUnavailableError } from './kubeconfig.loader.js';
import type { Asked } from './kubernetes-error.js';
import type { ClusterChoice } from './lease-lock-options.js';
import { leaseAddress, type ObjectAddress } from './object-address.js';
import type { PodEnvironment } from './pod-environment.js';

/** The cluster and the object of one lock. */
export class LeaseTarget {
  private constructor(
    readonly connection: ClusterConnection,
    private readonly leaseName: string,
    /** Undefined as long as a kubeconfig that has to tell it cannot be read. */
    private known: string | undefined,
    private readonly askNamespace: () => Promise<string | undefined>,
  ) {}

  /**
   * Rejects only for what waiting cannot mend: options that name nothing. An unreadable kubeconfig or token is left to
   * the requests, each of which tries again.
   */
  static async find(
    choice: ClusterChoice,
    { namespace, leaseName }: LockRequester,
    pod: PodEnvironment,
  ): Promise<LeaseTarget> {
    if (choice.kind === 'in-cluster') {
      const own = namespace ?? pod.namespace();
      if (own === undefined) throw namespaceMissing(`the pod has no ${pod.namespaceFile}`);
      return new LeaseTarget(new InClusterConnection(pod), leaseName, own, async () => own);
    }
    const connection = connectionOf(choice);
    const ask = () => connection.namespace();
    const target = new LeaseTarget(connection, leaseName, namespace, ask);
    try {
      const inContext = await ask();
      if ((target.known ??= inContext) === undefined) throw namespaceMissing(NO_CONTEXT_NAMESPACE);
    } catch (error) {
      const fault = permanentFault(error, choice.source);
      if (fault !== undefined) throw new LeaderElectionOptionsError([fault]);
      if (!(error instanceof LockRequestError)) throw error;
    }
    return target;
  }

  async address(): Promise<ObjectAddress> {
    this.known ??= await this.askNamespace();
    if (this.known === undefined) {
      const { message } = namespaceMissing(NO_CONTEXT_NAMESPACE);
      throw new LockRequestError(message, { reason: 'unreachable' });
    }
    return leaseAddress(this.known, this.leaseName);
  }

  /** What a request asks for. The kubeconfig that names the namespace may be unreadable; then nothing is sent. */
  async ask(verb: Verb): Promise<Asked | LockRequestError> {
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
    if (name.length > MAX_NAME) throw nameTooLong(this.leaseName, suffix);
    return new LeaseTarget(this.connection, name, this.known, this.askNamespace);
  }

  describe(): string {
    return `Lease ${this.known ?? '(namespace of the kubeconfig)'}/${this.leaseName}`;
  }
}

type KubeconfigChoice = Extract<ClusterChoice, { kind: 'kubeconfig' }>;

function connectionOf({ source, context }: KubeconfigChoice): NamespacedConnection {
  return source.kind === 'instance'
    ? new ClientNodeConnection(source.kubeConfig, context)
    : new KubeconfigConnection(source, context);
}

/** Names of objects are DNS subdomains. */
const MAX_NAME = 253;

function nameTooLong(leaseName: string, suffix: string): LeaderElectionOptionsError {
  const most = MAX_NAME - suffix.length - 1;
  return new LeaderElectionOptionsError([
    {
      field: 'leaseName',
      value: leaseName,
      rule: `must have at most ${most} characters, as a second Lease is named <leaseName>-${suffix}`,
      fix: 'shorten it',
    },
  ]);
}

const NO_CONTEXT_NAMESPACE = 'the context of the kubeconfig names none';

function namespaceMissing(why: string): LeaderElectionOptionsError {
  return new LeaderElectionOptionsError([
    {
      field: 'namespace',
      value: undefined,
      rule: `the namespace of the Lease must be known, and ${why}`,
      fix: "set the option namespace, e.g. namespace: 'default', if that is where the replicas run",
    },
  ]);
}

/** The option by which a kubeconfig was chosen, as it was given. */
function optionOf(source: KubeconfigChoice['source']): Pick<OptionFault, 'field' | 'value'> {
  if (source.kind === 'file') return { field: 'leaseLock.kubeConfigFile', value: source.file };
  const value = source.kind === 'instance' ? source.kubeConfig : source.kind;
  return { field: 'leaseLock.kubeConfig', value };
}

function permanentFault(
  error: unknown,
  source: KubeconfigChoice['source'],
): OptionFault | undefined {
  if (error instanceof UnknownContextError) {
    return {
      field: 'leaseLock.context',
      value: error.context,
      rule: 'must be a context of the kubeconfig',
      fix: `name one of: ${error.known.join(', ') || 'it has none'}`,
    };
  }
  if (error instanceof ClientNodeUnavailableError) {
    return {
      ...optionOf(source),
      rule: error.message,
      fix: `${error.fix}; leaseLock() inside a pod does not need it`,
    };
  }
  return undefined;
}
