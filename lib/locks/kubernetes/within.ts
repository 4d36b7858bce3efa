/** The promise, or a rejection if it takes longer than that; what it comes to afterwards is then of no interest. */
export function within<T>(limitMs: number, promise: Promise<T>, tooLate: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(tooLate()), limitMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
