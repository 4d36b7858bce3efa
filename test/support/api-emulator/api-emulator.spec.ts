import { afterAll, beforeAll } from '@jest/globals';
import { ApiEmulator } from './api-emulator.js';
import { describeLeaseApi, type ApiBody } from './lease-api.contract.js';

let emulator: ApiEmulator;

beforeAll(async () => {
  emulator = await ApiEmulator.start();
});

afterAll(() => emulator.stop());

describeLeaseApi('the API emulator', () => async (method, path, body) => {
  const response = await fetch(emulator.url + path, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as ApiBody };
});
