/**
 * A leader for the bench of memory. For each message it makes so many renewals, collects all garbage, and tells what is left.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { answerMessages } from '../asked-process.js';
import { LeadingApplication, type Store, type Told } from '../leading-application.js';

/** Bytes, when all garbage has been collected. */
export interface MemorySample {
  /** Of JavaScript, and what it keeps outside of its heap. */
  readonly heap: number;
  readonly rss: number;
}

const [told, store, kubeConfigFile, leak] = process.argv.slice(2) as [Told, Store, string, string?];
const leading = await LeadingApplication.start({
  told,
  store,
  kubeConfigFile,
  role: `memory-${told}`,
});

/** What each renewal leaves, if it is to: shows that it would be seen. */
const left: object[] = [];

answerMessages(
  async (renewals): Promise<MemorySample> => {
    for (let count = Number(renewals); count > 0; count -= 1) {
      await leading.renewal();
      if (leak === 'leak') left.push({ count });
    }
    if (!leading.leadership.isLeader()) throw new Error('leadership was lost');
    // What finalizers leave is garbage of the next turn.
    for (let turn = 0; turn < 2; turn += 1) {
      globalThis.gc!();
      await nextTurn();
    }
    const { heapUsed, external, rss } = process.memoryUsage();
    return { heap: heapUsed + external, rss };
  },
  () => leading.app.close(),
);
