import { parseArgs, styleText } from 'node:util';
import { controlPlaneGround } from './control-room/control-plane-ground.js';
import { ControlRoomServer } from './control-room/control-room-server.js';
import { Fleet } from './control-room/fleet.js';
import { fileGround } from './control-room/ground.js';

const { values } = parseArgs({
  options: {
    /** Elect the leader with a Lease on the test control plane. */
    lease: { type: 'boolean', default: false },
    /** With it: `npm run build:tools` has just run. */
    built: { type: 'boolean', default: false },
    /** Of the control room; any that is free if absent. */
    port: { type: 'string', default: '0' },
  },
});

const COLOURS = ['cyan', 'magenta', 'yellow', 'blue', 'white', 'gray'] as const;
type Colour = (typeof COLOURS)[number] | 'green';

/** What Nest says of its own start, and what the page of the control room shows, would hide what this sample is about. */
const ASIDE =
  /\[(NestFactory|InstanceLoader|RoutesResolver|RouterExplorer|NestApplication|LeaderSchedule)\]|\] members \(\d+\): /;

const LEASE_DURATIONS: Readonly<Record<string, number>> = {
  fast: 5_000,
  default: 15_000,
  quiet: 60_000,
};

function print(colour: Colour, prefix: string, line = ''): void {
  const text = process.stdout.isTTY ? styleText(colour, prefix) : prefix;
  process.stdout.write(`${text}${line}\n`);
}

/** Each line with the replica's name, and a star while it leads. */
const printer = {
  line(name: string, isLeader: boolean, line: string): void {
    if (ASIDE.test(line)) return;
    const colour = COLOURS[(Number(name.split('-')[1]) - 1) % COLOURS.length]!;
    print(colour, `${name} ${isLeader ? '★' : '·'} `, line);
  },
  leads(name: string, pid: number): void {
    print(
      'green',
      `★ ${name} leads. To see another take over: kill -9 ${pid} (a crash) or kill ${pid} (a handover)`,
    );
  },
};

const ground = values.lease
  ? await controlPlaneGround((line) => print('green', line), values.built)
  : fileGround;
const leaseDurationMs = LEASE_DURATIONS[process.env['PROFILE'] ?? 'fast'] ?? 5_000;
const fleet = new Fleet(ground, leaseDurationMs, printer);
const room = await ControlRoomServer.start(fleet, Number(values.port));

async function stopAll(): Promise<void> {
  print('green', 'Stopping: the leader stops its work first, then hands over.');
  await fleet.close();
  await room.stop();
  await ground.stop();
}
// SIGHUP is the end of the terminal: a replica that is frozen would otherwise outlive it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => void stopAll());
}

print(
  'green',
  `★ The control room: ${room.url} shows the replicas, and has buttons to disturb them.`,
);
for (let replica = 1; replica <= 3; replica += 1) await fleet.add();
