import { parseArgs } from 'node:util';
import { transition } from '../../lib/core/election-machine.js';
import { MutantBuild } from '../mutants/mutant-build.js';
import { RandomStream } from '../simulation/random-stream.js';
import { type HourWithoutDatabase, hourWithoutDatabase, NAIVE_RULE } from './database-gone.js';
import { type Choice, ModelledDeployment, type Rollout } from './rollout-model.js';
import { spreadWhileMembersChange } from './spread-model.js';

/**
 * `npm run simulate:rollouts`: how often leadership moves while a deployment changes, while roles are spread over pods that
 * come and go, and while every replica is unfit.
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);

interface Machine {
  readonly transition: typeof transition;
}

type Play = (deployment: ModelledDeployment) => void;

function moves(choice: Choice, replicas: number, play: Play): { mean: number; most: number } {
  const counts = Array.from({ length: runs }, (_, run) => {
    const random = new RandomStream(Number(values.seed), `${choice} ${replicas} ${run}`);
    const deployment = new ModelledDeployment(choice, random, replicas);
    play(deployment);
    return deployment.moves;
  });
  const mean = counts.reduce((sum, count) => sum + count, 0) / runs;
  return { mean: Math.round(mean * 100) / 100, most: Math.max(...counts) };
}

const rollouts: Rollout[] = [3, 10, 50].flatMap((replicas) => [
  { replicas, surge: 1, unavailable: 0 },
  // 25 %, as the controller rounds it.
  { replicas, surge: Math.ceil(replicas / 4), unavailable: Math.floor(replicas / 4) },
]);
const oneByOne = (deployment: ModelledDeployment, hasDeletionCost: boolean): void => {
  for (let replicas = 9; replicas >= 3; replicas--)
    deployment.scaleDown(replicas, { hasDeletionCost });
};
const cases: [name: string, replicas: number, play: Play][] = [
  ...rollouts.map((rollout): [string, number, Play] => [
    `rollout of ${rollout.replicas}, surge ${rollout.surge}, unavailable ${rollout.unavailable}`,
    rollout.replicas,
    (deployment) => deployment.rollOut(rollout),
  ]),
  [
    'rollout of 10 and its rollback, surge 1, unavailable 0',
    10,
    (deployment) => {
      deployment.rollOut({ replicas: 10, surge: 1, unavailable: 0 });
      deployment.rollOut({ replicas: 10, surge: 1, unavailable: 0 });
    },
  ],
  ['scale-down 10 to 3', 10, (deployment) => deployment.scaleDown(3)],
  ['scale-down 10 to 3, pod by pod', 10, (deployment) => oneByOne(deployment, false)],
  ['scale-down 10 to 3, pod by pod, with podLabel', 10, (deployment) => oneByOne(deployment, true)],
];
const rows = cases.map(([name, replicas, play]) => ({
  name,
  newest: moves('newest', replicas, play),
  any: moves('any', replicas, play),
}));

const spreads = [
  [3, 10],
  [10, 3],
  [23, 6],
].map(([roles, pods]) => ({
  name: `${roles} roles over ${pods} pods`,
  ...spreadWhileMembersChange(roles!, pods!, {
    seed: Number(values.seed),
    changes: 50,
    oldestHoldersMs: 200,
  }),
}));

const build = await MutantBuild.open(['core']);
const hours = [];
try {
  const load = await build.build('naive', NAIVE_RULE);
  const naive = (await load('core/election-machine.ts')) as Machine;
  for (const [replicas, graceMs] of [
    [2, 5_000],
    [3, 5_000],
    [10, 5_000],
    [2, 10_000],
  ] as const) {
    hours.push({
      name: `database gone for all ${replicas} for an hour, ineligibleGraceMs ${graceMs}`,
      ours: hourWithoutDatabase(replicas, graceMs, transition),
      naive: hourWithoutDatabase(replicas, graceMs, naive.transition),
    });
  }
} finally {
  await build.close();
}

if (values.json)
  console.log(JSON.stringify({ runs, seed: Number(values.seed), rows, spreads, hours }));
else {
  console.log('How often leadership moves, mean (most):');
  console.table(
    rows.map(({ name, newest, any }) => ({
      name,
      newest: `${newest.mean} (${newest.most})`,
      'any, as client-go': `${any.mean} (${any.most})`,
    })),
  );
  console.log("Placement 'spread' while members change:");
  console.table(spreads);
  console.log('Handovers, and how long there was a leader:');
  const shown = ({ handovers, ledPercent }: HourWithoutDatabase): string =>
    `${handovers}, ${ledPercent} %`;
  console.table(
    hours.map(({ name, ours, naive }) => ({
      name,
      'this library': shown(ours),
      'hand over whenever unfit': shown(naive),
    })),
  );
}
