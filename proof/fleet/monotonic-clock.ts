/** The clock that all processes of the machine share, and that nobody sets. */
export function monotonicNs(): bigint {
  return process.hrtime.bigint();
}

export function monotonicMs(): number {
  return Number(monotonicNs()) / 1e6;
}
