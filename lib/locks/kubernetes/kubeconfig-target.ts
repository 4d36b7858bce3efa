import type { OptionFault } from '../../core/errors.js';
import { ClientNodeConnection } from '../../kubernetes/connection/client-node.connection.js';
import type { NamespacedConnection } from '../../kubernetes/connection/cluster-connection.js';
import {
  KubeconfigConnection,
  UnknownContextError,
} from '../../kubernetes/connection/kubeconfig.connection.js';
import { ClientNodeUnavailableError } from '../../kubernetes/connection/kubeconfig.loader.js';
import type { KubeconfigChoice } from './cluster-choice.js';

export function connectionOf({ source, context }: KubeconfigChoice): NamespacedConnection {
  return source.kind === 'instance'
    ? new ClientNodeConnection(source.kubeConfig, context)
    : new KubeconfigConnection(source, context);
}

const FACTORY_OF = { Lease: 'leaseLock', ConfigMap: 'configMapLock' } as const;

/** The option by which a kubeconfig was chosen, as it was given. */
function optionOf(
  factory: string,
  source: KubeconfigChoice['source'],
): Pick<OptionFault, 'field' | 'value'> {
  if (source.kind === 'file') return { field: `${factory}.kubeConfigFile`, value: source.file };
  const value = source.kind === 'instance' ? source.kubeConfig : source.kind;
  return { field: `${factory}.kubeConfig`, value };
}

/** Undefined for what may pass, such as a file that cannot be read now. */
export function permanentFault(
  error: unknown,
  kind: keyof typeof FACTORY_OF,
  source: KubeconfigChoice['source'],
): OptionFault | undefined {
  const factory = FACTORY_OF[kind];
  if (error instanceof UnknownContextError) {
    return {
      field: `${factory}.context`,
      value: error.context,
      rule: 'must be a context of the kubeconfig',
      fix: `name one of: ${error.known.join(', ') || 'it has none'}`,
    };
  }
  if (error instanceof ClientNodeUnavailableError) {
    return {
      ...optionOf(factory, source),
      rule: error.message,
      fix: `${error.fix}; ${factory}() inside a pod does not need it`,
    };
  }
  return undefined;
}
