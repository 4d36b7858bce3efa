import { applicationName } from '../../lib/election/own-names.js';
import { resolveElectionOptions } from '../../lib/core/election-options.js';
import { editLease } from '../locks/edit-lease.js';
import { Elections } from '../nest/support/elections.js';
import { RecordedLog } from '../nest/support/recorded-log.js';

type Files = Record<string, string>;
const PACKAGE: Files = { '/app/package.json': '{"name": "@acme/plans"}' };

describe('the name of an application', () => {
  const named = (env: Record<string, string>, program: string, files: Files) =>
    applicationName(env, program, (path) => {
      if (!(path in files)) throw new Error(`ENOENT ${path}`);
      return files[path]!;
    });

  it.each<[string, Record<string, string>, string, Files, string | undefined]>([
    ['the package of the program', {}, '/app/dist/main.js', PACKAGE, '@acme/plans'],
    [
      'OTEL_SERVICE_NAME before it',
      { OTEL_SERVICE_NAME: 'plans' },
      '/app/dist/main.js',
      PACKAGE,
      'plans',
    ],
    [
      'the folder too in a monorepo',
      {},
      '/app/dist/apps/billing/main.js',
      PACKAGE,
      '@acme/plans/billing',
    ],
    [
      'the same folder among sources',
      {},
      '/app/apps/billing/src/main.ts',
      PACKAGE,
      '@acme/plans/billing',
    ],
    [
      'the nearest package',
      {},
      '/app/dist/apps/billing/main.js',
      { ...PACKAGE, '/app/dist/apps/billing/package.json': '{"name": "billing"}' },
      'billing',
    ],
    [
      'a package above one without a name',
      {},
      '/app/dist/main.js',
      { ...PACKAGE, '/app/dist/package.json': '{"type": "module"}' },
      '@acme/plans',
    ],
    [
      'a package above one that is no JSON',
      {},
      '/app/dist/main.js',
      { ...PACKAGE, '/app/dist/package.json': '{' },
      '@acme/plans',
    ],
    [
      'what npm says for a runner of scripts',
      { npm_package_name: 'plans' },
      '/app/node_modules/jest/bin/jest.js',
      { '/app/node_modules/jest/package.json': '{"name": "jest"}' },
      'plans',
    ],
    ['what npm says without a package', { npm_package_name: 'plans' }, '/main.js', {}, 'plans'],
    [
      'the package where OTEL_SERVICE_NAME would be refused as an option',
      { OTEL_SERVICE_NAME: 'plans\nbilling' },
      '/app/dist/main.js',
      PACKAGE,
      '@acme/plans',
    ],
    [
      'what npm says where the package has a name that is too long',
      { npm_package_name: 'plans' },
      '/app/dist/main.js',
      { '/app/package.json': JSON.stringify({ name: 'x'.repeat(300) }) },
      'plans',
    ],
    [
      'nothing where half a character is all there is',
      { OTEL_SERVICE_NAME: '\ud800' },
      '',
      {},
      undefined,
    ],
    ['nothing where names are blank', { OTEL_SERVICE_NAME: ' ' }, '', {}, undefined],
    ['nothing without a program', {}, '', PACKAGE, undefined],
    ['nothing where nothing says it', {}, '/opt/main.js', { '/package.json': 'null' }, undefined],
  ])('is %s', (_what, env, program, files, name) => {
    expect(named(env, program, files)).toBe(name);
  });
});

describe('when the environment names an application', () => {
  const names = [
    'plans',
    'a b',
    'x'.repeat(253),
    'x'.repeat(254),
    'a\nb',
    'a\u0085b',
    'a\u2028b',
    'a\ud800',
    'größe 👍',
  ];

  it.each(names)('takes the name exactly if it passes as the option: %j', (name) => {
    const asOption = (): string | undefined => {
      try {
        return resolveElectionOptions({ role: 'a', application: name }, 'me').application;
      } catch {
        return undefined;
      }
    };
    expect(applicationName({ OTEL_SERVICE_NAME: name }, '')).toBe(asOption());
  });
});

describe('two applications on one lease', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  async function following(ours: string | undefined, theirs: (string | undefined)[]) {
    const log = new RecordedLog();
    const app = await elections.create({
      imports: [elections.module({ application: ours, identity: 'us' } as never)],
    });
    app.useLogger(log);
    const supersede = async (application: string | undefined, index: number) => {
      editLease(elections.store, 'default/plan-scheduler', {
        holderIdentity: `them-${index}`,
        application,
      });
      await elections.clock.settle();
    };
    await elections.leadingRival('them');
    await app.init();
    for (const [index, application] of theirs.entries()) await supersede(application, index);
    return log.texts('warn').filter((line) => line.includes('application'));
  }

  it('warns the follower once of each other one, with both names and what to do', async () => {
    const told = await following('plans', ['billing', 'plans', 'billing', 'mail']);
    expect(told).toEqual([
      expect.stringMatching(
        /application "billing", and this is application "plans".*leaseName.*option application/,
      ),
      expect.stringMatching(/application "mail", and this is application "plans"/),
    ]);
  });

  it('says nothing of its own application, nor of a holder that names none', async () => {
    expect(await following('plans', ['plans', undefined])).toEqual([]);
  });

  it('names the application of the leader in the record, and no longer after its release', async () => {
    const app = await elections.leading([], { application: 'plans' });
    await elections.clock.advance(5_000);
    const key = 'default/plan-scheduler';
    expect(elections.store.read(key)!.record).toMatchObject({ application: 'plans' });
    await app.close();
    const { holderIdentity, application } = elections.store.read(key)!.record;
    expect([holderIdentity, application]).toEqual(['', undefined]);
  });
});
