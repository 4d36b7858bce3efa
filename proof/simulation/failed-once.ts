/**
 * Seeds (3 candidates, 10 minutes, all faults) that find out something that was wrong once; every run plays them first.
 * A change of how scenarios are drawn makes them mean something else: what was wrong is a mutant too, which tells the
 * new seed (`npm run simulate:mutants -- --only NAME`, where the mutant's own faults and settings are left out).
 */
export const FAILED_ONCE: readonly number[] = [
  // no-time-to-drain: with a drain timeout of 0 a drain failed though there was nothing to drain.
  12,
  // copies-are-one: two clones of a leader took each other's renewals for their own, and led side by side.
  399,
  // wall-always-believed: a wall clock that runs away ended one term after the other.
  467,
  // clock-set-back-unnoticed: restored where the monotonic clock shows less, a process led until it showed as much.
  532,
  // hopeless-term: granted by an answer so late that the renewal had to be too late.
  1_208,
  // altered-attempts-are-news: a webhook emptied every write and a proxy sent each twice, and the attempts never paused.
  161_975,
  // A member had come as named, had given up, and the role it gave back moved on before the cool-down had passed.
  20_031_285,
  // A paused process heard that it is eligible again, and so had never been ineligible.
  20_070_842,
  // The answer of a renewal that was under way took back that its sender had just given up.
  20_204_859,
  // A term began on a lease whose duration somebody had edited before the acquisition was answered.
  20_728_117,
  // Who had let go of term 1 stood back from the release of term 1 of a lease that was made again.
  20_734_999,
];
