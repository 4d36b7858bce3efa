const { readFileSync } = require('node:fs');

/**
 * The layers, read from the map in CONTRIBUTING.md: what a row does not allow is an error. The map is the rule, so that
 * neither can become untrue.
 */
const NODE_BUILTIN = { dependencyTypes: ['core'] };
const ROW = /^\| `(lib\/[\w/.-]+)`[^|]*\|([^|]*)\|([^|]*)\|$/gm;
const map = readFileSync(`${__dirname}/CONTRIBUTING.md`, 'utf8');

const layers = [...map.matchAll(ROW)].map(([, layer, , imports]) => ({
  layer,
  names: [...imports.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
}));
if (layers.length === 0) throw new Error('CONTRIBUTING.md has no map of lib.');

function allowedBy({ layer, names }) {
  const from = { path: `^${layer}(/|$)` };
  return [layer, ...names].map((name) => {
    if (name === 'node') return { from, to: NODE_BUILTIN };
    if (name.startsWith('lib/')) return { from, to: { path: `^${name}(/|$)` } };
    return { from, to: { path: `node_modules/${name}/` } };
  });
}

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-file-that-nobody-imports',
      severity: 'error',
      from: { orphan: true, path: '^lib/' },
      to: {},
    },
  ],
  allowed: layers.flatMap(allowedBy),
  allowedSeverity: 'error',
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    // Imports of types count: they are what binds two files to each other.
    tsPreCompilationDeps: true,
  },
};
