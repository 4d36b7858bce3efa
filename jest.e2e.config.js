import shared from './jest.shared.js';

/**
 * Real servers, real processes, real time. Mostly they wait, for leases to run out above all, so two files share the two cores:
 * no test may depend on how fast the machine is.
 */
export default {
  ...shared,
  roots: ['<rootDir>/test', '<rootDir>/proof', '<rootDir>/bench'],
  setupFilesAfterEnv: ['<rootDir>/test/e2e/support/no-secret-printed.ts'],
  testMatch: ['**/*.e2e-spec.ts'],
  testTimeout: 120_000,
  maxWorkers: 2,
  testPathIgnorePatterns: ['/node_modules/', '/test/package/'],
};
