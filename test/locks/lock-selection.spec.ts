import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LeaderElectionOptionsError } from '../../lib/core/errors.js';
import type { LockRequester, ResourceLock } from '../../lib/core/resource-lock.js';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { fileLock } from '../../lib/locks/file/file.lock.js';
import { memoryLock } from '../../lib/locks/memory/memory.lock.js';
import {
  type LockChoice,
  ProcessSurroundings,
  selectLock,
} from '../../lib/locks/lock-selection.js';

type Env = Record<string, string>;

const REQUESTER: LockRequester = { leaseName: 'n', namespace: 'jobs', identity: 'pod-a' };
const SERVER = { KUBERNETES_SERVICE_HOST: '127.0.0.1' };
const PRODUCTION = { NODE_ENV: 'production' };
const CONTAINER = { '/.dockerenv': '' };
const OVERLAY_ROOT = '22 1 0:21 / / rw - overlay overlay rw\n23 22 0:5 / /dev rw - tmpfs tmpfs rw';
const DISK_ROOT = '22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:9 / /x rw - overlay overlay rw';
const EVERYTHING = ['token', 'ca.crt', 'namespace'];

/** The files of a service account, mounted at a path of their own. */
class Mount {
  readonly root = mkdtempSync(join(tmpdir(), 'lock-selection-'));
  directory = join(this.root, 'absent');

  with(files: readonly string[]): this {
    this.directory = this.root;
    for (const file of files) writeFileSync(join(this.root, file), 'plans');
    return this;
  }
}

describe('the choice of a lock', () => {
  let mount: Mount;
  const locks: ResourceLock[] = [];
  beforeEach(() => (mount = new Mount()));
  afterEach(async () => {
    for (const lock of locks.splice(0)) await lock.close?.();
    rmSync(mount.root, { recursive: true, force: true });
  });

  function surroundings(env: Env, files: Record<string, string> = {}, program = '/app/main.js') {
    const machine = {
      exists: (path: string) => path in files,
      text: (path: string) => files[path] ?? '',
    };
    return new ProcessSurroundings(env, program, machine, new PodEnvironment(env, mount.directory));
  }

  async function chosen(choice: LockChoice, where: ProcessSurroundings) {
    const { lock, remark } = await selectLock(choice, REQUESTER, where);
    locks.push(lock);
    return { kind: lock.constructor.name, level: remark?.level, text: remark?.text ?? '' };
  }

  async function refusal(choice: LockChoice, where: ProcessSurroundings): Promise<string> {
    const error: unknown = await chosen(choice, where).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LeaderElectionOptionsError);
    return (error as Error).message;
  }

  describe("when it is 'auto' in a pod", () => {
    it.each<[string, Env]>([
      ['in development', {}],
      ['in production', PRODUCTION],
    ])('is the Lease, without a remark, %s', async (_where, env) => {
      mount.with(EVERYTHING);
      expect(await chosen('auto', surroundings({ ...SERVER, ...env }))).toEqual({
        kind: 'ObjectLock',
        level: undefined,
        text: '',
      });
    });

    it.each<[string, Env, string[] | null, RegExp[]]>([
      ['the address alone', SERVER, null, [/absent\/token/, /absent\/ca\.crt/]],
      ['address and CA', SERVER, ['ca.crt', 'namespace'], [/token/]],
      ['address and token', SERVER, ['token', 'namespace'], [/ca\.crt/]],
      ['address, token and CA', SERVER, ['token', 'ca.crt'], [/namespace/]],
      ['the whole mount', {}, EVERYTHING, [/KUBERNETES_SERVICE_HOST is not set/]],
      ['the token alone', {}, ['token'], [/KUBERNETES_SERVICE_HOST is not set/, /ca\.crt/]],
      ['the namespace alone', {}, ['namespace'], [/KUBERNETES_SERVICE_HOST is not set/, /token/]],
      ['an empty mount', {}, [], [/KUBERNETES_SERVICE_HOST is not set/, /token/]],
    ])(
      'with %s refuses to start, names what is missing, and offers no other lock',
      async (_sign, env, files, missing) => {
        if (files !== null) mount.with(files);
        const requester = { ...REQUESTER, namespace: undefined };
        for (const production of [{}, PRODUCTION]) {
          const where = surroundings({ ...env, ...production }, CONTAINER);
          const starting = selectLock('auto', requester, where);
          await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
          const message = await starting.catch(({ message: text }: Error) => text);
          for (const pattern of missing) expect(message).toMatch(pattern);
          expect(message).toMatch(/: 1 configuration error\n/);
          expect(message).not.toMatch(/file ?lock|'file'|'memory'|kubeConfig/i);
        }
      },
    );

    it.each([
      ['lease', 'Lease jobs/n'],
      ['config-map', 'ConfigMap jobs/leaders'],
    ] as const)("takes the object that '%s' names", async (name, description) => {
      mount.with(EVERYTHING);
      const { lock } = await selectLock(name, REQUESTER, surroundings(SERVER));
      locks.push(lock);
      expect(lock.describe()).toBe(description);
    });

    it("says the same of 'lease'", async () => {
      const message = await refusal('lease', surroundings(SERVER));
      expect(message).toMatch(/absent\/token/);
      expect(message).not.toMatch(/'file'|fileLock/);
    });
  });

  describe("when it is 'auto' outside a pod", () => {
    it('is the file lock in development, and says for whom', async () => {
      const { kind, level, text } = await chosen('auto', surroundings({}));
      expect([kind, level]).toEqual(['FileLock', 'log']);
      expect(text).toMatch(/only processes of this user on this machine compete/);
    });

    it.each<[string, Env, Record<string, string>]>([
      ['Docker', {}, CONTAINER],
      ['Podman', {}, { '/run/.containerenv': '' }],
      ['systemd-nspawn or LXC', { container: 'lxc' }, {}],
      ['an engine that cgroups name', {}, { '/proc/1/cgroup': '12:cpu:/docker/0123' }],
      ['an overlay root', {}, { '/proc/self/mountinfo': OVERLAY_ROOT }],
    ])('warns in a container of %s', async (_engine, env, files) => {
      const { kind, level, text } = await chosen('auto', surroundings(env, files));
      expect([kind, level]).toEqual(['FileLock', 'warn']);
      expect(text).toMatch(
        /other containers elect leaders of their own.*fileLock\(\{ directory \}\)/,
      );
    });

    it('takes a machine with other overlays for no container', async () => {
      const files = { '/proc/self/mountinfo': DISK_ROOT, '/proc/1/cgroup': '0::/init.scope' };
      expect((await chosen('auto', surroundings({}, files))).level).toBe('log');
    });

    it.each([
      ['on a machine', {}, true],
      ['in a container', CONTAINER, false],
    ])('refuses to start in production %s, and says what to choose', async (...given) => {
      const [, files, mayShareByUser] = given;
      const message = await refusal('auto', surroundings(PRODUCTION, files));
      // Containers have directories of their own: each of them would lead.
      expect(message.includes("lock: 'file'")).toBe(mayShareByUser);
      expect(message).toMatch(
        /lock = "auto" \(the default\).*fileLock\(\{ directory \}\).*leaseLock\(\{ kubeConfig \}\)/s,
      );
    });
  });

  describe("when it is 'auto' under a test runner", () => {
    it.each<[string, Env, string]>([
      ['Jest', { JEST_WORKER_ID: '1' }, '/app/main.js'],
      ['Vitest', { VITEST: 'true' }, '/app/main.js'],
      ['node:test', { NODE_TEST_CONTEXT: 'child-v8' }, '/app/main.js'],
      ['Mocha', { MOCHA_WORKER_ID: '0' }, '/app/main.js'],
      ['Mocha', {}, '/app/node_modules/mocha/bin/mocha.js'],
      ['Mocha', {}, '/app/node_modules/.bin/_mocha'],
    ])(
      'is the memory lock under %s and says so, on a CI runner in a cluster too',
      async (runner, env, program) => {
        mount.with(EVERYTHING);
        for (const more of [{}, SERVER, PRODUCTION]) {
          const { kind, level, text } = await chosen(
            'auto',
            surroundings({ ...env, ...more }, CONTAINER, program),
          );
          expect([kind, level]).toEqual(['MemoryLock', 'log']);
          expect(text).toContain(`under ${runner}`);
        }
      },
    );
  });

  describe('when it was made by name, by factory, by an async factory or ready', () => {
    it('is what was asked for, without a remark in development', async () => {
      const ready = (await memoryLock()(REQUESTER)) as ResourceLock;
      const choices = ['memory', memoryLock(), async () => Promise.resolve(ready), ready] as const;
      for (const choice of choices) {
        expect(await chosen(choice, surroundings({}))).toMatchObject({
          kind: 'MemoryLock',
          text: '',
        });
      }
      expect(await chosen('file', surroundings({}))).toMatchObject({ kind: 'FileLock', text: '' });
    });

    it.each<[string, LockChoice, Env, Record<string, string>, RegExp]>([
      ['memory', 'memory', PRODUCTION, {}, /every process leads.*fileLock\(\{ directory \}\)/],
      ['memoryLock()', memoryLock(), PRODUCTION, {}, /every process leads/],
      [
        'memory in a pod',
        'memory',
        SERVER,
        {},
        /every process leads.*If there are several, use lock: 'lease'\.$/,
      ],
      ['file in a container', 'file', {}, CONTAINER, /other containers elect leaders of their own/],
      [
        'fileLock() in a pod',
        fileLock(),
        SERVER,
        CONTAINER,
        /every pod elects.*If there are several, use lock: 'lease'\.$/,
      ],
    ])('warns of what it does not do: %s', async (_what, choice, env, files, text) => {
      const remark = await chosen(choice, surroundings(env, files));
      expect(remark.level).toBe('warn');
      expect(remark.text).toMatch(text);
      const isPod = 'KUBERNETES_SERVICE_HOST' in env;
      expect(isPod && /fileLock|'file'/.test(remark.text)).toBe(false);
    });

    it('says in production for whom the default directory is', async () => {
      const { level, text } = await chosen('file', surroundings(PRODUCTION));
      expect([level, text]).toEqual(['log', expect.stringMatching(/only processes of this user/)]);
    });

    it.each<[string, Env, Record<string, string>]>([
      ['in production', PRODUCTION, {}],
      ['in a container', {}, CONTAINER],
      ['in a pod', SERVER, {}],
    ])('says nothing of a directory that was named, %s', async (_where, env, files) => {
      const { text } = await chosen(fileLock({ directory: mount.root }), surroundings(env, files));
      expect(text).toBe('');
    });

    it('says nothing of limits under a test runner', async () => {
      for (const choice of ['memory', 'file'] as const) {
        const env = { ...PRODUCTION, ...SERVER, JEST_WORKER_ID: '1' };
        expect((await chosen(choice, surroundings(env, CONTAINER))).text).toBe('');
      }
    });
  });
});
