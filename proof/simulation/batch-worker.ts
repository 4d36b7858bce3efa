import { parentPort, workerData } from 'node:worker_threads';
import { type Batch, runBatch } from './batch.js';

/** One thread's share of a run, in slices, so that progress can be shown. */
Error.stackTraceLimit = 0;
const { batches } = workerData as { readonly batches: readonly Batch[] };
for (const batch of batches) parentPort!.postMessage(await runBatch(batch));
