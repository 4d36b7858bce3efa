/** What the process then does and says is indented. */
const OUTPUT = ' '.repeat(12);
const HAPPENING = /^ *([\d,]+) {2}(\S.*)$/;

/** A term as a transcript of the election machine tells it. Instants are milliseconds from its beginning. */
export interface ToldTerm {
  readonly holder: string;
  readonly number: number;
  readonly grantedAt: number;
  /** From when until when leadership was valid, for each request that acquired or renewed the lease. */
  readonly validity: { readonly since: number; readonly until: number }[];
  /** Renewals while the work of the term ended. */
  readonly drainRenewals: number[];
  endedAt?: number;
  releasedAt?: number;
}

export interface Story {
  readonly terms: readonly ToldTerm[];
  /** Requests without an answer. */
  readonly failedAt: readonly number[];
  /** When each other process heard of a renewal. */
  readonly heardAt: readonly number[];
}

/** What a transcript tells of its terms, with the time for which a renewal is valid. */
export function storyOf(transcript: string, renewDeadlineMs: number): Story {
  const terms: ToldTerm[] = [];
  const failedAt: number[] = [];
  const heardAt: number[] = [];
  let at = 0;
  let who = '';
  for (const line of transcript.split('\n')) {
    const [, time, what] = HAPPENING.exec(line) ?? [];
    if (what !== undefined) {
      at = numberIn(time!);
      who = /\b([ab])\b/.exec(what)![1]!;
      if (/^the watch of \w shows/.test(what)) heardAt.push(at);
      if (what.endsWith('times out')) failedAt.push(at);
    }
    if (!line.startsWith(OUTPUT)) continue;
    const own = terms.findLast(({ holder }) => holder === who);
    const until = numberIn(/valid until ([\d,]+)/.exec(line)?.[1] ?? '');
    const granted = /leads: term (\d+)/.exec(line);
    if (granted !== null) {
      const validity = [{ since: until - renewDeadlineMs, until }];
      terms.push({
        holder: who,
        number: Number(granted[1]),
        grantedAt: at,
        validity,
        drainRenewals: [],
      });
    } else if (/tells: renewed, valid/.test(line)) {
      own!.validity.push({ since: until - renewDeadlineMs, until });
    } else if (line.endsWith('tells: renewed')) own!.drainRenewals.push(at);
    else if (/leads no more/.test(line)) own!.endedAt = at;
    else if (/tells: released/.test(line)) own!.releasedAt = at;
  }
  return { terms, failedAt, heardAt };
}

function numberIn(text: string): number {
  return Number(text.replaceAll(',', ''));
}
