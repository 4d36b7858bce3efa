import { parseArgs } from 'node:util';
import { RandomStream } from '../simulation/random-stream.js';
import { type Choice, ModelledDeployment, type Rollout } from './rollout-model.js';

/** `npm run simulate:rollouts`: how often leadership moves while a deployment changes. */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);

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
  { replicas, surge: Math.ceil(replicas / 4), unavailable: Math.floor(replicas / 4) },
]);
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
  ['scale-down 10 to 3', 10, (deployment) => deployment.scaleDown(3, false)],
  ['scale-down 10 to 3 with deletion cost', 10, (deployment) => deployment.scaleDown(3, true)],
];
const rows = cases.map(([name, replicas, play]) => ({
  name,
  newest: moves('newest', replicas, play),
  any: moves('any', replicas, play),
}));
if (values.json) console.log(JSON.stringify({ runs, seed: Number(values.seed), rows }));
else
  console.table(
    rows.map(({ name, newest, any }) => ({
      name,
      newest: `${newest.mean} (${newest.most})`,
      any: `${any.mean} (${any.most})`,
    })),
  );
