import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

/**
 * Makes one HTML document of each page. Script and style are in it, so that the page loads nothing else, and their hashes let
 * a strict Content-Security-Policy allow these two and no other. The same sources make the same bytes.
 */
const PAGES = [
  { folder: 'lib/dashboard/page', title: 'Leader election', name: 'dashboard' },
  { folder: 'sample-app/src/control-room/page', title: 'Control room', name: 'control room' },
];
const shell = readFileSync('lib/dashboard/page/shell.html', 'utf8').replace(/\n\s*/g, '');
const notice = readFileSync('node_modules/preact/LICENSE', 'utf8').trim();
for (const page of PAGES) await make(page);

async function make({ folder, title, name }) {
  const script = await bundled(`${folder}/main.tsx`, { js: `/*! Preact\n${notice}\n*/` });
  const style = await bundled(`${folder}/page.css`);

  const html = shell
    .replace('{title}', title)
    .replace('{name}', name)
    .replace('<style></style>', () => `<style>${style}</style>`)
    .replace('<script type="module"></script>', () => `<script type="module">${script}</script>`);

  const page = { html, scriptHashes: [hashOf(script)], styleHashes: [hashOf(style)] };
  writeFileSync(
    `${folder}/page.generated.ts`,
    `/** Made by build-page.js of the files beside it. */
export const PAGE: {
  readonly html: string;
  readonly scriptHashes: readonly string[];
  readonly styleHashes: readonly string[];
} = ${JSON.stringify(page)};
`,
  );
  console.log(`${folder}: ${Buffer.byteLength(html)} bytes`);
}

async function bundled(entry, banner = {}) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'inline',
    // Shorter than what the compiler makes of the same markup.
    jsx: 'transform',
    jsxFactory: 'h',
    jsxFragment: 'Fragment',
    inject: ['node_modules/preact/dist/preact.mjs'],
    tsconfigRaw: {},
    banner,
    logLevel: 'warning',
  });
  const text = outputFiles[0].text.trim();
  if (/<\/(script|style)|<!--/i.test(text)) throw new Error(`${entry} would end its own element.`);
  return text;
}

function hashOf(text) {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
