/** What bundling must not change: classes are one in all entries and module systems, with their names and metadata. */
import 'reflect-metadata';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as main from 'nestjs-leader-election';
import * as schedule from 'nestjs-leader-election/schedule';
import * as testing from 'nestjs-leader-election/testing';

const requireHere = createRequire(join(process.cwd(), 'out', 'entries.js'));
const required = requireHere('nestjs-leader-election') as typeof main;
/** As test runners load it that cannot require ES modules. */
const commonJs = requireHere(
  join(process.cwd(), 'node_modules/nestjs-leader-election/dist-commonjs/index.js'),
) as typeof main;

type Class = new (...args: never[]) => object;

function isClass(value: unknown): value is Class {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

// Exported, so that the compiler has to find a name for each of their types.
export const standIn = testing.leadershipStandIn();
export const timer = new testing.ManualClock().setTimer(() => {}, 1);
export const stored = main.memoryLock();

const classes = [main, schedule, testing, commonJs].flatMap((entry) =>
  Object.entries(entry).filter(([, value]) => isClass(value)),
);
const parameters = Reflect.getMetadata('design:paramtypes', schedule.LeaderSchedule) as Class[];
const timeout = new schedule.JobTimeoutError('tick', 1);

console.log(
  JSON.stringify({
    hasClasses: classes.length > 20,
    renamed: classes.filter(([name, { name: own }]) => name !== own).map(([name]) => name),
    injected: parameters.map(({ name }) => name),
    errorOfSchedule: timeout instanceof main.LeaderElectionError && timeout.name,
    serviceOfTesting: standIn instanceof main.LeadershipService,
    isOneForRequire: required.LeaderElectionError === main.LeaderElectionError,
    isSecondAsCommonJs: commonJs.LeaderElectionError !== main.LeaderElectionError,
    sharedToken: commonJs.getLeadershipToken('plan') === main.getLeadershipToken('plan'),
    sharedMark: new commonJs.NotLeaderError('plan') instanceof main.LeaderElectionError,
  }),
);
