import { describe, expect, it } from '@jest/globals';
import { readCounters } from './server-counters.js';

const METRICS = `# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 5.79
process_open_fds 2425
process_open_fds_of_others 1
apiserver_request_total{code="200",resource="leases",verb="PUT"} 30
apiserver_request_total{code="409",resource="leases",verb="PUT"} 2
apiserver_request_total{code="0",resource="leases",verb="WATCH"} 100
apiserver_request_total{code="200",resource="pods",verb="GET"} 7
apiserver_watch_events_total{group="coordination.k8s.io",resource="leases",version="v1"} 1.4984e+04
apiserver_watch_events_total{group="",resource="pods",version="v1"} 3
apiserver_longrunning_requests{resource="leases",scope="cluster",verb="WATCH"} 100
apiserver_longrunning_requests{resource="pods",scope="cluster",verb="WATCH"} 4
`;

describe('when a server tells of itself', () => {
  it('adds up what it says of Leases, and of them alone', () => {
    expect(readCounters(METRICS)).toEqual({
      cpuSeconds: 5.79,
      openFiles: 2425,
      requests: 32,
      watchEvents: 14_984,
      watches: 100,
    });
  });

  it('counts nothing where it has no series yet', () => {
    expect(readCounters('').watchEvents).toBe(0);
  });

  it('knows Leases by the label that servers before 1.37 have', () => {
    const metrics = 'apiserver_watch_events_total{group="coordination.k8s.io",kind="Lease"} 9\n';
    expect(readCounters(metrics).watchEvents).toBe(9);
  });
});
