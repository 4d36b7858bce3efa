/**
 * The environment variables that the library reads. No other is read, as none other has a type; docs/configuration.md is
 * written from this table.
 */
export interface Environment {
  /** Address of the API server. A process that has it runs in a pod, so that `lock: 'auto'` is a Lease. */
  readonly KUBERNETES_SERVICE_HOST?: string;
  /** Port of the API server; 443 unless set. */
  readonly KUBERNETES_SERVICE_PORT?: string;
  /**
   * Name of this pod, by the downward API: the first half of the default `identity`. `members` needs it; without it the host
   * name is taken, which is that of the node with `hostNetwork`.
   */
  readonly POD_NAME?: string;
  /** Namespace of this pod, by the downward API: the default `namespace`. Without it that of the service account counts. */
  readonly POD_NAMESPACE?: string;
  /** The uid of this pod, by the downward API, for `podWatch`. That of the pod's token comes first. */
  readonly POD_UID?: string;
  /** Name of this machine, where POD_NAME is not set. */
  readonly HOSTNAME?: string;
  /** The default `application`. */
  readonly OTEL_SERVICE_NAME?: string;
  /** Set by npm: the default `application` where OTEL_SERVICE_NAME is not set and the program has no package.json. */
  readonly npm_package_name?: string;
  /** With `production`, `lock: 'auto'` outside a pod stops the start, and the memory lock logs a warning. */
  readonly NODE_ENV?: string;
  /** Kubeconfig files for `kubeConfig: 'default'`, separated as in PATH; `~/.kube/config` unless set. */
  readonly KUBECONFIG?: string;
  /** Where `.kube/config` is. */
  readonly HOME?: string;
  /** Proxy for an API server with `https:`, as kubectl reads it; `proxy-url` of the kubeconfig comes first. */
  readonly HTTPS_PROXY?: string;
  /** The same. */
  readonly https_proxy?: string;
  /** Proxy for an API server with `http:`. */
  readonly HTTP_PROXY?: string;
  /** The same. */
  readonly http_proxy?: string;
  /** Servers that are reached without the proxy: names, domains, addresses and CIDRs, separated by commas, or `*`. */
  readonly NO_PROXY?: string;
  /** The same. */
  readonly no_proxy?: string;
  /** Set by Jest: `lock: 'auto'` is the memory lock. */
  readonly JEST_WORKER_ID?: string;
  /** Set by Vitest: `lock: 'auto'` is the memory lock. */
  readonly VITEST?: string;
  /** Set by `node:test`: `lock: 'auto'` is the memory lock. */
  readonly NODE_TEST_CONTEXT?: string;
  /** Set by Mocha where it runs tests in several processes: `lock: 'auto'` is the memory lock. */
  readonly MOCHA_WORKER_ID?: string;
  /** Set by Podman and systemd: the log line about a file lock is a warning, as this is a container. */
  readonly container?: string;
}
