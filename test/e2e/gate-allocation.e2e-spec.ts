import { AskedProcess } from '../../bench/asked-process.js';
import { ROOM } from '../../bench/parts/gate.js';

const PROGRAM = '.tools/bench/parts/gate-process.js';
/** Compiled code comes when V8 has it, and takes a moment on the heap itself. */
const MOST_ROUNDS = 60;

type Bytes = Readonly<Record<string, number>>;

/** What each call takes of the heap at the least, in whole bytes. */
async function leastOf(
  standing: 'leader' | 'follower',
  isEnough: (least: Bytes) => boolean,
): Promise<Bytes> {
  const application = await AskedProcess.start(PROGRAM, [standing, 'off'], { flags: ROOM });
  const least: Record<string, number> = {};
  try {
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const bytes = await application.ask<Bytes>('bytes');
      for (const [call, value] of Object.entries(bytes)) {
        least[call] = Math.min(least[call] ?? Infinity, Math.round(value));
      }
      if (isEnough(least)) break;
    }
    return least;
  } finally {
    await application.end();
  }
}

describe('when a call of a gate has been compiled', () => {
  it('allocates on the leader what the two clocks return, and nothing of its own', async () => {
    const own = ({ isLeader, gated, monotonicClock, wallClock }: Bytes): number =>
      Math.max(isLeader!, gated!) - monotonicClock! - wallClock!;
    expect(own(await leastOf('leader', (least) => own(least) <= 0))).toBeLessThanOrEqual(0);
  });

  it('allocates nothing on a follower', async () => {
    const all = ({ isLeader, gated }: Bytes): number => isLeader! + gated!;
    expect(all(await leastOf('follower', (least) => all(least) <= 0))).toBe(0);
  });
});
