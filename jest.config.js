import shared from './jest.shared.js';

export default {
  ...shared,
  roots: ['<rootDir>/test', '<rootDir>/proof'],
  testMatch: ['**/*.spec.ts'],
  // Runs in the scaffold that has Vitest.
  testPathIgnorePatterns: ['/node_modules/', '\\.vitest\\.spec\\.ts$'],
};
