// Runs the built schematic of `nest add` on files in memory, outside of Jest, which cannot `require` the ES modules below it.
import { createRequire } from 'node:module';
import { parentPort } from 'node:worker_threads';

const require = createRequire(import.meta.url);
const { HostTree } = require('@angular-devkit/schematics');
const { nestAdd } = require('../../dist/schematics/nest-add.cjs');

parentPort.on('message', ({ files, options }) => {
  const tree = new HostTree();
  for (const [path, text] of Object.entries(files)) tree.create(path, text);
  const said = [];
  const log = (line) => said.push(line);
  const error = errorOf(() => nestAdd(options)(tree, { logger: { info: log, warn: log } }));
  const after = {};
  tree.visit((path) => (after[path.slice(1)] = tree.readText(path)));
  parentPort.postMessage({ files: after, said, error });
});

function errorOf(run) {
  try {
    run();
    return '';
  } catch (error) {
    return error.message;
  }
}
