import type {
  KubeConfigLike,
  KubeconfigSource,
} from '../../kubernetes/connection/kubeconfig.loader.js';

/** Which cluster the checked options of a lock mean. */
export type ClusterChoice =
  | { readonly kind: 'in-cluster' }
  | {
      readonly kind: 'kubeconfig';
      readonly source:
        KubeconfigSource | { readonly kind: 'instance'; readonly kubeConfig: KubeConfigLike };
      readonly context: string | undefined;
    };

/** One that is outside of this process's pod. */
export type KubeconfigChoice = Extract<ClusterChoice, { kind: 'kubeconfig' }>;
