/** The exit code of a run that Ctrl+C has ended. */
export const INTERRUPTED = 130;

/** Aborts upon Ctrl+C or SIGTERM, so that the run ends and reports; the second time this process ends at once. */
export function onInterruption(abort: () => void): void {
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // The lifelines of processes and files see to it that nothing is left.
      if (interrupted) process.exit(INTERRUPTED);
      process.stderr.write('ending the run; once more to end it at once\n');
      interrupted = true;
      abort();
    });
  }
}
