/** What a kube-apiserver tells of itself at `/metrics`. */
export interface ServerCounters {
  readonly cpuSeconds: number;
  readonly openFiles: number;
  /** Of Leases, watches aside. */
  readonly requests: number;
  /** Of Leases, to all who watch them. */
  readonly watchEvents: number;
  /** Watches of Leases that are open. */
  readonly watches: number;
}

const LEASES = /[{,](?:resource="leases"|kind="Lease")[,}]/;
const WATCH = /[{,]verb="WATCH"[,}]/;

export function readCounters(metrics: string): ServerCounters {
  return {
    cpuSeconds: sum(metrics, 'process_cpu_seconds_total'),
    openFiles: sum(metrics, 'process_open_fds'),
    requests: sum(metrics, 'apiserver_request_total', (s) => LEASES.test(s) && !WATCH.test(s)),
    watchEvents: sum(metrics, 'apiserver_watch_events_total', (s) => LEASES.test(s)),
    watches: sum(metrics, 'apiserver_longrunning_requests', (s) => LEASES.test(s) && WATCH.test(s)),
  };
}

/** Of all series of a name that count; 0 if the server has none yet. */
function sum(
  metrics: string,
  name: string,
  counts: (labels: string) => boolean = () => true,
): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .filter((line) => counts(line.slice(name.length)))
    .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
