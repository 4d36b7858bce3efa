import endToEnd from './jest.e2e.config.js';

/** Installations of the package in fresh folders, two at a time as well. */
export default {
  ...endToEnd,
  roots: ['<rootDir>/test/package'],
  // Those of the end-to-end tests would leave out this very folder.
  testPathIgnorePatterns: ['/node_modules/'],
};
