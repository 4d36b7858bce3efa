import { execFile, type ExecFileException } from 'node:child_process';
import { findBinary, MissingBinaryError } from '../control-plane/binaries.js';

/** What the second judge says: judge/main.go, which shares no code with this one. */
export interface Judgement {
  readonly lock: PartOfJudgement;
  readonly register: PartOfJudgement;
  readonly requests: PartOfJudgement & { readonly counts: Readonly<Record<string, number>> };
}

interface PartOfJudgement {
  readonly result: 'ok' | 'violated';
  readonly operations: number;
  readonly violations: readonly string[];
}

const MOST_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Judges the histories in a directory (see judge/FORMAT.md). Rejects where the judge cannot be built or cannot read them. */
export async function judgeHistories(directory: string): Promise<Judgement> {
  const judge = await findBinary('chaos-judge');
  const [error, output, complaint] = await new Promise<[ExecFileException | null, string, string]>(
    (resolve) =>
      execFile(judge, [directory], { maxBuffer: MOST_OUTPUT_BYTES }, (...result) =>
        resolve(result),
      ),
  );
  const hasJudged = error === null || error.code === 1;
  if (!hasJudged) throw new Error(`the judge failed: ${complaint}`, { cause: error });
  return JSON.parse(output) as Judgement;
}

/** The judge or, where there is no Go, what to install. */
export async function obstacleToJudge(): Promise<string | undefined> {
  try {
    await findBinary('chaos-judge');
    return undefined;
  } catch (error) {
    if (error instanceof MissingBinaryError) return error.message;
    throw error;
  }
}
