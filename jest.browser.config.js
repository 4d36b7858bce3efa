import endToEnd from './jest.e2e.config.js';

/** Chromium, which all files share, against servers on this machine. */
export default {
  ...endToEnd,
  maxWorkers: 1,
  roots: ['<rootDir>/test/browser'],
  testMatch: ['**/*.browser-spec.ts'],
  globalSetup: '<rootDir>/test/browser/support/start-chromium.js',
  globalTeardown: '<rootDir>/test/browser/support/stop-chromium.js',
};
