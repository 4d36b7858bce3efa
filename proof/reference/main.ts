import { writeFileSync } from 'node:fs';
import { configurationPage, PAGE } from './configuration-page.js';
import { PublicOptions } from './public-options.js';

/** `npm run docs:options`: writes docs/configuration.md from the types and docstrings of the package. */
writeFileSync(PAGE, await configurationPage(new PublicOptions()));
