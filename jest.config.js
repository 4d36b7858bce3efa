import shared from './jest.shared.js';

export default {
  ...shared,
  roots: ['<rootDir>/test', '<rootDir>/proof', '<rootDir>/bench'],
  testMatch: ['**/*.spec.ts'],
  // Ends a test that hangs; the default of 5 s would also end one that does much on a busy machine.
  testTimeout: 300_000,
  // Jest leaves one core idle unless it is told; of the two that CI has, that is half.
  maxWorkers: '100%',
  // Runs in the scaffold that has Vitest.
  testPathIgnorePatterns: ['/node_modules/', '\\.vitest\\.spec\\.ts$'],
};
