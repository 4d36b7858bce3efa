import endToEnd from './jest.e2e.config.js';

/** Installations of the package in fresh folders: they compete for nothing but time, so two of them share the cores. */
export default {
  ...endToEnd,
  roots: ['<rootDir>/test/package'],
  // Those of the end-to-end tests would leave out this very folder.
  testPathIgnorePatterns: ['/node_modules/'],
  maxWorkers: 2,
};
