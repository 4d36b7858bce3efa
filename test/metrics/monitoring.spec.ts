import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { Registry } from 'prom-client';
import { FAMILIES, MetricFamilies } from '../../lib/metrics/metric-families.js';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const ALERTS = 'monitoring/alerts.yaml';
const DASHBOARD = 'monitoring/grafana-dashboard.json';
const PAGE = 'docs/metrics.md';

const text = (file: string): string => readFileSync(file, 'utf8');
const groups = (parse(text(ALERTS)) as { groups: { name: string; rules: Rule[] }[] }).groups;
const rules = groups.flatMap((group) => group.rules);

/** What each metric is called on the page of a process. */
const SERIES = new Set(
  Object.entries(FAMILIES).flatMap(([name, { type }]) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  ),
);

function unknownSeries(source: string): string[] {
  const named = [...source.matchAll(/\bleader_election_\w+/g)].map(([series]) => series);
  expect(named.length).toBeGreaterThan(0);
  return named.filter((series) => !SERIES.has(series));
}

/** The labels that an expression selects or groups by. */
function labelsIn(expression: string): string[] {
  const grouped = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) =>
    list!.split(/,\s*/),
  );
  const selected = [...expression.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label]) => label!);
  return [...grouped, ...selected].filter((label) => label !== '');
}

const LABELS = new Set([
  ...Object.values(FAMILIES).flatMap(({ labels }) => labels as readonly string[]),
  // Of Prometheus, of histograms and of kube-state-metrics.
  'namespace',
  'le',
  'lease',
  'lease_holder',
]);

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly w: number };
  readonly targets?: { readonly expr: string }[];
}

const { panels } = JSON.parse(text(DASHBOARD)) as { readonly panels: readonly Panel[] };
const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

describe('when Prometheus evaluates the alert rules', () => {
  it('finds every metric that they name in the code', () => {
    expect(unknownSeries(rules.map(({ expr }) => expr).join('\n'))).toEqual([]);
  });

  it('finds every label that they name', () => {
    expect(rules.flatMap(({ expr }) => labelsIn(expr)).filter((each) => !LABELS.has(each))).toEqual(
      [],
    );
  });

  it('finds two of them by kube-state-metrics alone', () => {
    const [lease] = groups;
    expect(lease!.rules).toHaveLength(2);
    for (const { expr } of lease!.rules) {
      expect(expr).toMatch(/kube_lease_(owner|renew_time)/);
      expect(expr).not.toContain('leader_election_');
    }
  });

  it('finds severity, summary and description in each', () => {
    for (const { labels, annotations } of rules) {
      expect(labels.severity).toMatch(/^(critical|warning)$/);
      expect(annotations.summary).not.toBe('');
      expect(annotations.description).not.toBe('');
    }
  });
});

describe('when Grafana shows the dashboard', () => {
  it('finds every metric and label that it names', () => {
    expect(unknownSeries(queries.join('\n'))).toEqual([]);
    expect(queries.flatMap(labelsIn).filter((each) => !LABELS.has(each))).toEqual([]);
  });

  it('shows every metric whose story no other tells', () => {
    const unseen = Object.keys(FAMILIES).filter(
      (name) =>
        !queries.some(
          (query) =>
            query.includes(`${name}{`) ||
            query.includes(`${name}_bucket{`) ||
            query.includes(`${name}_sum{`),
        ),
    );
    expect(unseen).toEqual([
      'leader_election_leader_known',
      'leader_election_term',
      'leader_election_terms_total',
      'leader_election_lease_duration_seconds',
      'leader_election_job_known_since_timestamp_seconds',
    ]);
  });

  it('has no panel wider than the page', () => {
    expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
  });
});

describe('when someone reads the page about metrics', () => {
  const rows = [
    ...text(PAGE).matchAll(/^\| `(leader_election_\w+)` *\|([^|]*)\|([^|]*)\|(.*)\|$/gm),
  ];

  it('finds each metric with its type, its labels and its meaning', () => {
    const documented = rows.map(([, name, type, labels, meaning]) => [
      name,
      {
        type: type!.trim(),
        labels: [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label),
        help: `${meaning!.trim()}.`,
      },
    ]);
    const known = Object.entries(FAMILIES).map(([name, { type, labels, help }]) => [
      name,
      { type, labels, help },
    ]);
    expect(documented).toEqual(known);
  });

  it('finds each alert', () => {
    const alerts = [...text(PAGE).matchAll(/^\| `(LeaderElection\w+)` /gm)].map(([, name]) => name);
    expect(alerts).toEqual(rules.map(({ alert }) => alert));
  });
});

describe('when the metrics are registered', () => {
  it('are those of the list', async () => {
    const registry = new Registry();
    new MetricFamilies(registry, () => {});
    const registered = await registry.getMetricsAsJSON();
    expect(registered.map(({ name, type, help }) => ({ name, type: String(type), help }))).toEqual(
      Object.entries(FAMILIES).map(([name, { type, help }]) => ({ name, type, help })),
    );
  });
});
