import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Fence, fencesOf } from '../docs/fences.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Of Nest's logger: the process and the time before a line, and the time since the line before after it. */
const OF_LOGGER = [/^\[Nest\] \d+ +- [^A-Z]+(?:[AP]M)? +/, /(?: \+\d+ms)?$/] as const;

/** The blocks of code of a page, in their order, so that a test does what a reader does and leaves none out. */
export class Guide {
  private readonly blocks: Fence[];

  constructor(page: string, { until }: { readonly until: string }) {
    const [before, after] = readFileSync(join(root, page), 'utf8').split(`\n${until}\n`);
    if (after === undefined) throw new Error(`${page} has no heading ${until}`);
    this.blocks = fencesOf({ file: page, text: before! });
  }

  /** The commands of the next block, one a line. */
  commands(): string[] {
    return this.next('sh').trim().split('\n');
  }

  /** The next block, which names its file in its first line. */
  file(): { readonly path: string; readonly text: string } {
    const text = this.next('ts');
    const [, path] = /^\/\/ (\S+)\n/.exec(text) ?? [];
    if (path === undefined) throw new Error(`no file is named in the first line of ${text}`);
    return { path, text };
  }

  /** What the next block shows of an output. */
  output(): string[] {
    return this.next('text').trimEnd().split('\n');
  }

  get isAtItsEnd(): boolean {
    return this.blocks.length === 0;
  }

  private next(language: string): string {
    const block = this.blocks.shift();
    if (block?.language !== language) {
      throw new Error(
        `the page has ${block?.language ?? 'no block'} where ${language} is expected`,
      );
    }
    return block.code;
  }
}

/** A line of Nest's logger, in which `…` stands for whatever differs from run to run. */
export function isShownAs(printed: string, shown: string): boolean {
  const said = OF_LOGGER.reduce((line, part) => line.replace(part, ''), printed);
  const pattern = shown
    .split('…')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .join('.+');
  return new RegExp(`^${pattern}$`).test(said);
}
