import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Page {
  readonly file: string;
  readonly text: string;
}

/** Every page of the documentation. */
export function pages(): Page[] {
  const folder = readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...folder].map(fileRead);
}

/** Every TypeScript file in these folders, except what the scaffolds of other projects hold. */
export function sources(...folders: string[]): Page[] {
  return folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.includes('scaffolds'))
      .map((name) => fileRead(join(folder, name))),
  );
}

/** Every transcript of the machine. */
export function transcripts(): Page[] {
  const folder = 'test/core/transcripts';
  return readdirSync(folder).map((name) => fileRead(join(folder, name)));
}

/** The comments of a source: those between the marks of a block, and lines that are nothing but a comment. */
export function commentsOf(source: string): string {
  return (source.match(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm) ?? []).join('\n');
}

function fileRead(file: string): Page {
  return { file, text: readFileSync(file, 'utf8') };
}
