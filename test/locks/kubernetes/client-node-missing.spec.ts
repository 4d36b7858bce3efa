import { jest } from '@jest/globals';
import type { KubeConfigLike } from '../../../lib/kubernetes/connection/kubeconfig.loader.js';

jest.unstable_mockModule('@kubernetes/client-node', () => {
  throw Object.assign(new Error("Cannot find package '@kubernetes/client-node'"), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
});
const { leaseLock } = await import('../../../lib/locks/kubernetes/lease.lock.js');

const REQUESTER = { leaseName: 'plan', namespace: 'default', identity: 'me' };

describe('leaseLock(), when @kubernetes/client-node is not installed', () => {
  it.each<[string, { kubeConfig?: KubeConfigLike | 'default'; kubeConfigFile?: string }, RegExp]>([
    [
      'kubeConfig',
      { kubeConfig: 'default' },
      /- leaseLock\.kubeConfig = "default": .*not installed/,
    ],
    [
      'kubeConfigFile',
      { kubeConfigFile: '/etc/kubeconfig' },
      /- leaseLock\.kubeConfigFile = "\/etc\/kubeconfig": .*not installed/,
    ],
  ])('names the option that needs it as it was given: %s', async (_option, options, text) => {
    const starting = Promise.resolve(leaseLock(options)(REQUESTER));
    await expect(starting).rejects.toThrow(text);
  });
});
