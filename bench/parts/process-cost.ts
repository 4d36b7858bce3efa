import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { NodeProgram } from '../../proof/fleet/node-program.js';
import { type Figure, figure } from '../figure.js';
import type { Findings, Ground, Part, Table, Target } from '../measure.js';
import { type ModuleSystem, OURS, Packages } from '../process-cost/packages.js';
import { Pod } from '../process-cost/pod.js';
import type { Cost, ReplicaOrder, Told, Use } from '../process-cost/replica.js';

/** How often, and for how long. */
interface Extent {
  readonly loads: number;
  readonly starts: number;
  readonly windows: number;
  readonly windowMs: number;
  /** Until an application does nothing but what it always does. */
  readonly settleMs: number;
}

const WHOLE: Extent = { loads: 21, starts: 11, windows: 6, windowMs: 5_000, settleMs: 2_000 };
const QUICK: Extent = { loads: 1, starts: 1, windows: 1, windowMs: 500, settleMs: 100 };

/** The program, compiled beside this module. */
const REPLICA = fileURLToPath(new URL('../process-cost/replica.js', import.meta.url));
const ACCOUNT = 'process-cost';
const RIGHTS = [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['*'] }];

/** One table each. */
export type Stage = 'loading' | 'starting' | 'running';

export const STAGES: readonly Stage[] = ['loading', 'starting', 'running'];

/** What a row of a table is about. */
interface Row {
  readonly name: string;
  /** Of `elections`. */
  readonly election: string;
  readonly system: ModuleSystem;
  readonly packages: Packages;
  readonly hasKubeConfig?: boolean;
}

const BARE = 'NestJS alone';
const FLOOR = 'NestJS and one request by `node:https`';
const CLUSTER = 'this library, in a cluster';

/** Of npm. */
const ELECTORS = [
  {
    name: '@codedependant/kubernetes-leader-election',
    election: 'codedependant',
    system: 'commonjs',
  },
  { name: '@nullplatform/k8s-lease-lock', election: 'nullplatform', system: 'commonjs' },
] as const;

export const processCost: Part = {
  key: 'process',
  title: 'What a process pays',
  run: (ground) => measureProcessCost(ground, [], STAGES),
};

/** Other checkouts, which have been built, take turns with this one. */
export async function measureProcessCost(
  ground: Ground,
  others: readonly string[],
  stages: readonly Stage[],
): Promise<Findings> {
  const checkouts = [process.cwd(), ...others].map((checkout) => new Packages(checkout));
  const extent = ground.isQuick ? QUICK : WHOLE;
  const found: Findings[] = [];
  const notMeasured: string[] = [];
  try {
    if (stages.includes('loading')) found.push(await loadingCosts(ground, checkouts, extent));
    if (!Pod.isPossible()) notMeasured.push(NO_POD);
    else found.push(...(await new Replicas(ground, checkouts, extent).measured(stages)));
    return {
      tables: found.flatMap(({ tables }) => tables),
      targets: found.flatMap(({ targets }) => targets),
      notMeasured,
    };
  } finally {
    for (const packages of checkouts) packages.remove();
  }
}

const NO_POD =
  'This machine lets no process have files of its own at the place where a pod has its service account (`unshare` fails), so what applications pay once they are loaded was not measured.';

async function loadingCosts(
  ground: Ground,
  checkouts: readonly Packages[],
  { loads }: Extent,
): Promise<Findings> {
  const rows = loadingRows(checkouts);
  const costs = rows.map((): Cost[] => []);
  for (let round = 1; round <= loads; round += 1) {
    ground.say(`loading, round ${round} of ${loads}`);
    for (const [index, row] of rows.entries()) costs[index]!.push(await loadingCost(row));
  }
  const cpu = costs.map((each) =>
    figure(
      each.map(({ cpuMs }) => cpuMs),
      'ms',
    ),
  );
  const took = costs.map((each) =>
    figure(
      each.map(({ ms }) => ms),
      'ms',
    ),
  );
  const table: Table = {
    title: 'Loading',
    text: 'A fresh process loads NestJS and Express first, and then what the row names. CPU time is that of all threads, with the garbage collector in the main one, as it would clear up after NestJS meanwhile.',
    columns: ['what is loaded', 'CPU time', 'time'],
    rows: rows.map(({ name }, index) => [name, cpu[index], took[index]]),
  };
  const over = (name: string, nothing: string): number =>
    medianOf(cpu, rows, name) - medianOf(cpu, rows, nothing);
  return {
    tables: [table],
    targets: [
      cpuTarget('ES module', over(`${OURS}, ES module`, 'an empty ES module')),
      cpuTarget('CommonJS', over(`${OURS}, CommonJS`, 'an empty CommonJS module')),
    ],
  };
}

function cpuTarget(system: string, measured: number): Target {
  const what = `CPU time of loading the package as ${system}, over an empty module`;
  return { what, unit: 'ms', atMost: 10, measured };
}

/** What is loaded after NestJS. */
interface LoadingRow extends Omit<Row, 'hasKubeConfig'> {
  readonly isEmpty?: boolean;
}

function loadingRows(checkouts: readonly Packages[]): LoadingRow[] {
  const [own] = checkouts;
  const packages = own!;
  const ours = checkouts.flatMap((each): LoadingRow[] => [
    {
      name: labelled(`${OURS}, ES module`, each, own!),
      election: 'ours',
      system: 'module',
      packages: each,
    },
    {
      name: labelled(`${OURS}, CommonJS`, each, own!),
      election: 'ours',
      system: 'commonjs',
      packages: each,
    },
  ]);
  return [
    { name: 'an empty ES module', election: 'none', system: 'module', packages, isEmpty: true },
    {
      name: 'an empty CommonJS module',
      election: 'none',
      system: 'commonjs',
      packages,
      isEmpty: true,
    },
    ...ours,
    ...ELECTORS.map((elector) => ({ ...elector, packages })),
    { name: '@kubernetes/client-node', election: 'poll-loop', system: 'module', packages },
  ];
}

async function loadingCost({ election, system, packages, isEmpty }: LoadingRow): Promise<Cost> {
  const loadsOnly = isEmpty ? packages.nothing(system) : true;
  const program = new NodeProgram({
    name: election,
    program: process.execPath,
    isNative: true,
    args: [
      '--single-threaded-gc',
      REPLICA,
      orderFor({ election, system, packages }, '', loadsOnly),
    ],
  });
  try {
    return (await told(program, 'loaded')).loaded;
  } finally {
    await program.kill();
  }
}

/** Applications on a real API server. */
class Replicas {
  private readonly rows: readonly Row[];
  private started = 0;

  constructor(
    private readonly ground: Ground,
    checkouts: readonly Packages[],
    private readonly extent: Extent,
  ) {
    this.rows = applicationRows(checkouts);
  }

  async measured(stages: readonly Stage[]): Promise<Findings[]> {
    const { cluster } = this.ground;
    const kubeConfigFile = await cluster.addAccount(ACCOUNT, RIGHTS);
    const pod = new Pod(
      cluster.server.ports[0]!,
      filesOf(kubeConfigFile, cluster.server.caFile),
      NAMESPACE,
    );
    try {
      const found: Findings[] = [];
      if (stages.includes('starting')) found.push(await this.starts({ pod, kubeConfigFile }));
      if (stages.includes('running')) found.push(await this.steady({ pod, kubeConfigFile }));
      return found;
    } finally {
      pod.remove();
    }
  }

  private async starts(place: Place): Promise<Findings> {
    const { rows } = this;
    const { starts } = this.extent;
    const all = rows.map((): Start[] => []);
    for (let round = 1; round <= starts; round += 1) {
      this.ground.say(`starts, round ${round} of ${starts}`);
      for (const [index, row] of rows.entries()) all[index]!.push(await this.start(row, place));
    }
    const of = (unit: 'ms' | 'MiB', value: (start: Start) => number): Figure[] =>
      all.map((each) => figure(each.map(value), unit));
    const ready = of('ms', (start) => start.ready.ms);
    const cpu = of('ms', (start) => start.ready.cpuMs);
    const rss = of('MiB', (start) => start.used.rssMiB);
    const leads = of('ms', (start) => start.leads?.cpuMs ?? start.loaded.cpuMs + start.ready.cpuMs);
    const over = (figures: readonly Figure[], name: string): number =>
      medianOf(figures, rows, name) - medianOf(figures, rows, BARE);
    const table: Table = {
      title: 'Starting',
      text: `Start-up lasts from \`NestFactory.create()\` until \`init()\` has returned, once all packages are loaded. CPU time until it leads is that of the process from before the elector's package was loaded, so that it has what was put off until later; of NestJS alone it is until \`init()\` has returned. Resident memory is read ${this.extent.settleMs / 1_000} s after it leads, after two forced collections. "In a cluster" is with the service account of a pod and without \`@kubernetes/client-node\`, which a kubeconfig needs.`,
      columns: [
        'application',
        'start-up',
        'its CPU time',
        'CPU time until it leads',
        'resident memory',
        'start-up over NestJS alone',
        'memory over NestJS alone',
      ],
      rows: rows.map(({ name }, index) => [
        name,
        ready[index],
        cpu[index],
        leads[index],
        rss[index],
        figure([over(ready, name)], 'ms'),
        figure([over(rss, name)], 'MiB'),
      ]),
    };
    const targets: Target[] = [
      {
        what: 'start-up in a cluster, over NestJS alone',
        unit: 'ms',
        atMost: 20,
        measured: over(ready, CLUSTER),
      },
      {
        what: 'resident memory in a cluster, over NestJS alone',
        unit: 'MiB',
        atMost: 5,
        measured: over(rss, CLUSTER),
      },
    ];
    return { tables: [table], targets };
  }

  /** One application, on a lease of its own. */
  private async start(row: Row, place: Place): Promise<Start> {
    const program = await this.launch(row, place, await this.lease(row));
    try {
      const { ready } = await told(program, 'ready');
      const { loaded } = await told(program, 'loaded');
      const leads = row.election === 'none' ? undefined : (await told(program, 'leads')).leads;
      await delay(this.extent.settleMs);
      return { loaded, ready, leads, used: await use(program) };
    } finally {
      await program.kill();
    }
  }

  /** A leader and a standby of each, side by side: what they do is little enough to be in nobody's way. */
  private async steady(place: Place): Promise<Findings> {
    const { windows, windowMs, settleMs } = this.extent;
    const running: NodeProgram[] = [];
    const launch = async (row: Row, lease: string): Promise<NodeProgram> => {
      const program = await this.launch(row, place, lease);
      running.push(program);
      await told(program, 'ready');
      return program;
    };
    const pairs: { row: Row; members: NodeProgram[]; costs: number[][]; rss: number[][] }[] = [];
    try {
      for (const row of this.rows.filter(({ election }) => election !== 'one-request')) {
        const lease = await this.lease(row);
        const members = [await launch(row, lease)];
        if (row.election !== 'none') {
          await told(members[0]!, 'leads');
          members.push(await launch(row, lease));
        }
        pairs.push({ row, members, costs: members.map(() => []), rss: members.map(() => []) });
      }
      await delay(settleMs);
      const all = () => Promise.all(pairs.map(({ members }) => Promise.all(members.map(use))));
      let before = await all();
      for (let window = 1; window <= windows; window += 1) {
        this.ground.say(`steady state, window ${window} of ${windows}`);
        await delay(windowMs);
        const after = await all();
        for (const [index, { costs, rss }] of pairs.entries()) {
          for (const [member, use] of after[index]!.entries()) {
            costs[member]!.push(msPerSecond(before[index]![member]!, use));
            rss[member]!.push(use.rssMiB);
          }
        }
        before = after;
      }
    } finally {
      await Promise.all(running.map((program) => program.kill()));
    }
    const table: Table = {
      title: 'Running',
      text: `CPU time for each second, and resident memory after two forced collections, of a leader and of a standby that do nothing but compete: ${windows} times ${windowMs / 1_000} s, all side by side. This library renews every 2 s and its standby waits for the watch; the others renew and ask every 2 s too, with a lease of 15 s, as far as they let one choose.`,
      columns: [
        'application',
        'leader',
        'standby',
        'memory of the leader',
        'memory of the standby',
      ],
      rows: pairs.map(({ row, costs, rss }) => [
        row.name,
        figure(costs[0]!, 'ms'),
        costs[1] && figure(costs[1], 'ms'),
        figure(rss[0]!, 'MiB'),
        rss[1] && figure(rss[1], 'MiB'),
      ]),
    };
    return { tables: [table], targets: [] };
  }

  private async launch(
    row: Row,
    { pod, kubeConfigFile }: Place,
    lease: string,
  ): Promise<NodeProgram> {
    const command = [process.execPath, '--expose-gc', REPLICA, orderFor(row, lease)];
    const [program, ...args] = row.hasKubeConfig ? command : pod.around(command);
    // No kubeconfig of whoever measures.
    const HOME = '/nonexistent';
    const env = row.hasKubeConfig
      ? { HOME, KUBECONFIG: kubeConfigFile, POD_NAMESPACE: NAMESPACE }
      : { HOME, ...pod.env };
    return new NodeProgram({ name: row.name, program: program!, isNative: true, args, env });
  }

  /** A name that no lease has; one contender does not make the lease that it lacks. */
  private async lease({ election }: Row): Promise<string> {
    const name = `process-cost-${(this.started += 1)}`;
    if (election !== 'nullplatform') return name;
    const leases = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
    const { status } = await this.ground.cluster.server.request('POST', leases, {
      metadata: { name },
      spec: {},
    });
    if (status !== 201) throw new Error(`lease ${name}: ${status}`);
    return name;
  }
}

interface Place {
  readonly pod: Pod;
  readonly kubeConfigFile: string;
}

interface Start {
  readonly loaded: Cost;
  readonly ready: Cost;
  /** Absent if there is no elector. */
  readonly leads: Cost | undefined;
  readonly used: Use;
}

function applicationRows(checkouts: readonly Packages[]): Row[] {
  const [own] = checkouts;
  const packages = own!;
  const ours = checkouts.flatMap((each): Row[] => {
    const common = { election: 'ours', packages: each };
    const name = (text: string): string => labelled(text, each, own!);
    return [
      { ...common, name: name(CLUSTER), system: 'module' },
      { ...common, name: name(`${CLUSTER}, CommonJS`), system: 'commonjs' },
      {
        ...common,
        name: name('this library, with a kubeconfig'),
        election: 'ours-kubeconfig',
        system: 'module',
        hasKubeConfig: true,
      },
    ];
  });
  return [
    { name: BARE, election: 'none', system: 'module', packages },
    { name: FLOOR, election: 'one-request', system: 'module', packages },
    ...ours,
    ...ELECTORS.map((elector) => ({ ...elector, packages })),
    {
      name: 'a poll loop on @kubernetes/client-node',
      election: 'poll-loop',
      system: 'module',
      packages,
    },
  ];
}

/** Which checkout it is, if it is another one. */
function labelled(name: string, packages: Packages, own: Packages): string {
  return packages === own ? name : `${name}, in ${packages.checkout}`;
}

function orderFor(
  { election, system, packages }: Pick<Row, 'election' | 'system' | 'packages'>,
  leaseName: string,
  loadsOnly?: ReplicaOrder['loadsOnly'],
): string {
  const identity = `process-cost-${process.hrtime.bigint()}`;
  const order: ReplicaOrder = {
    election,
    leaseName,
    namespace: NAMESPACE,
    identity,
    loader: packages.loader(system),
    ...(loadsOnly !== undefined && { loadsOnly }),
  };
  return JSON.stringify(order);
}

/** Waits for the line with that news. */
async function told<Key extends keyof Told>(
  program: NodeProgram,
  key: Key,
  since = 0,
): Promise<Required<Pick<Told, Key>>> {
  const { text } = await program.line(new RegExp(`^\\{"${key}":`), { since });
  return JSON.parse(text) as Required<Pick<Told, Key>>;
}

async function use(program: NodeProgram): Promise<Use> {
  const since = program.signal('SIGUSR2');
  return (await told(program, 'used', since)).used;
}

function msPerSecond({ collected: from }: Use, { asked: until }: Use): number {
  return (until.cpuMs - from.cpuMs) / ((until.atMs - from.atMs) / 1_000);
}

function medianOf(
  figures: readonly Figure[],
  rows: readonly { readonly name: string }[],
  name: string,
): number {
  return figures[rows.findIndex((row) => row.name === name)]!.median;
}

function filesOf(kubeConfigFile: string, caFile: string): { token: string; ca: string } {
  const { users } = JSON.parse(readFileSync(kubeConfigFile, 'utf8')) as {
    users: readonly { user: { token: string } }[];
  };
  return { token: users[0]!.user.token, ca: readFileSync(caFile, 'utf8') };
}
