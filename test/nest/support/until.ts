/** Real timers, such as those of @nestjs/schedule: waits for what must come, never for how long it takes. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`never came: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
