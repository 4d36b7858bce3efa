/**
 * Seeds (3 candidates, 10 minutes, all faults) that once found something out; every run plays them first.
 * A change of how scenarios are drawn makes them mean something else: keep the unit tests that came from them.
 */
export const FAILED_ONCE: readonly number[] = [
  // With a drain timeout of 0 a lease was never released, though there was nothing to drain.
  14, 28, 94,
  // A proxy that sends writes again drove a candidate into acquiring without a pause.
  104_961, 107_910, 113_182,
];
