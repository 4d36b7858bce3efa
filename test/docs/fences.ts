import type { Page } from './pages.js';

/** A block of code of a page. */
export interface Fence {
  readonly file: string;
  /** The line of its first mark, as editors count. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** What the page says about it in a comment that readers do not see: `continues`, or a frame with a … in it. */
  readonly note: string | undefined;
}

const MARK = /^\s*```+\s*([\w-]*)/;
const NOTE = /^\s*<!-- snippet: (.+?) -->\s*$/;
const PAGE_NOTE = /^<!-- snippets: each continues the one before -->$/m;

/** The fences of a page, from its top to its end. */
export function fencesOf({ file, text }: Page): Fence[] {
  const lines = text.split('\n');
  const continues = PAGE_NOTE.test(text) ? 'continues' : undefined;
  const fences: Fence[] = [];
  for (let start = 0; start < lines.length; start += 1) {
    const mark = MARK.exec(lines[start]!);
    if (mark === null) continue;
    const length = lines.slice(start + 1).findIndex((line) => MARK.test(line));
    if (length < 0) throw new Error(`${file}:${start + 1}: this fence does not end`);
    const code = lines.slice(start + 1, start + 1 + length).join('\n');
    const before = lines.slice(0, start).findLast((line) => line.trim() !== '') ?? '';
    const note = NOTE.exec(before)?.[1] ?? continues;
    fences.push({ file, line: start + 1, language: mark[1]!, code, note });
    start += length + 1;
  }
  return fences;
}
