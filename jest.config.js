import shared from './jest.shared.js';

export default {
  ...shared,
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.spec.ts'],
};
