// Loaded before the application, in its process: what `import` and `require` give is one and the same.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const apart = [];
for (const entry of JSON.parse(readFileSync(new URL('entries.json', import.meta.url), 'utf8'))) {
  const [imported, required] = [await import(entry), require(entry)];
  const names = Object.keys(imported).filter((name) => imported[name] !== required[name]);
  apart.push(...names.map((name) => `${entry}: ${name}`));
}
process.stdout.write(`${JSON.stringify(['apart', apart])}\n`);
