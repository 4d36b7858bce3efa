import shared from './jest.shared.js';

/** Real servers, real processes, real time: one file after the other, so that nothing competes for the two cores. */
export default {
  ...shared,
  roots: ['<rootDir>/test', '<rootDir>/proof'],
  setupFilesAfterEnv: ['<rootDir>/test/e2e/support/no-secret-printed.ts'],
  testMatch: ['**/*.e2e-spec.ts'],
  testTimeout: 120_000,
  maxWorkers: 1,
  testPathIgnorePatterns: ['/node_modules/', '/test/package/'],
};
