import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeAccessApi } from './access-api.contract.js';
import { ApiCaller } from './api-caller.js';
import { ApiEmulator } from './api-emulator.js';
import { describeConfigMapApi } from './config-map-api.contract.js';
import { describeLeaseApi } from './lease-api.contract.js';
import { describePodApi } from './pod-api.contract.js';
import { describeRestoreApi } from './restore-api.contract.js';
import { describeWatchApi } from './watch-api.contract.js';

const NAME = 'the API emulator';

let emulator: ApiEmulator;
let guarded: ApiEmulator;

beforeAll(async () => {
  emulator = await ApiEmulator.start();
  guarded = await ApiEmulator.start();
});

afterAll(() => Promise.all([emulator.stop(), guarded.stop()]));

const caller = () => new ApiCaller({ url: emulator.url });

describeLeaseApi(NAME, () => caller().send);
describeConfigMapApi(NAME, caller);
describePodApi(NAME, caller);
describeWatchApi(NAME, caller);
describeAccessApi(
  NAME,
  () => new ApiCaller({ url: guarded.url }),
  async (account, rules) => {
    const user = `system:serviceaccount:default:${account}`;
    guarded.access.allow(account, { user, namespace: 'default', rules });
    return account;
  },
);
describeRestoreApi(NAME, caller, async () => {
  const snapshot = emulator.state.snapshot();
  return async () => emulator.state.restore(snapshot);
});

describe('ApiEmulator.watches, when it is told to bookmark', () => {
  it('tells the version to those who asked, and to nobody else', async () => {
    const path = '/api/v1/namespaces/default/pods';
    const bookmark = async () => emulator.watches.bookmark();
    const query = { resourceVersion: emulator.pods.resourceVersion };
    const asked = { ...query, allowWatchBookmarks: 'true' };
    expect(await caller().watch(path, query, bookmark)).toEqual([]);
    expect(await caller().watch(path, asked, bookmark)).toMatchObject([
      { type: 'BOOKMARK', object: { metadata: query } },
    ]);
  });
});
