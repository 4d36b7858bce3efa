import type { Fault } from './fault.js';
import type { Scenario } from './scenario.js';

/**
 * Removes as many faults as possible while the schedule still fails (delta debugging: halves, then quarters, down to
 * single entries).
 */
export async function shrink(
  scenario: Scenario,
  stillFails: (candidate: Scenario) => Promise<boolean>,
): Promise<Scenario> {
  let faults = scenario.faults;
  for (
    let size = Math.ceil(faults.length / 2);
    size >= 1;
    size = size > 1 ? Math.ceil(size / 2) : 0
  ) {
    for (let start = 0; start < faults.length;) {
      const fewer: readonly Fault[] = [...faults.slice(0, start), ...faults.slice(start + size)];
      if (await stillFails({ ...scenario, faults: fewer })) faults = fewer;
      else start += size;
    }
  }
  return { ...scenario, faults };
}
