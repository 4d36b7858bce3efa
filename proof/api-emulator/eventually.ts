/** Tries until the expectations hold; the last failure is thrown once so much time has passed. */
export async function eventually(
  check: () => void | Promise<void>,
  withinMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (failure) {
      if (performance.now() > deadline) throw failure;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
