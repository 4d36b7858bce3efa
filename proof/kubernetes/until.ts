import { setTimeout as delay } from 'node:timers/promises';

/** Looks again and again. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 120_000,
): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > giveUpAt) throw new Error(`no ${what} in ${withinMs} ms`);
    await delay(5);
  }
}
