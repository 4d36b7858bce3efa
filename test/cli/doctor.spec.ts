import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Finding } from '../../lib/cli/doctor/finding.js';
import { latencyFinding } from '../../lib/cli/doctor/write-checks.js';
import { DoctorSite, LEASE, status } from './doctor-site.js';

let site: DoctorSite;

beforeAll(async () => {
  site = await DoctorSite.start();
});
afterEach(() => site.mend());
afterAll(() => site.stop());

function found(findings: readonly Finding[], code: string): Finding {
  expect(findings.map((each) => each.code)).toContain(code);
  return findings.find((each) => each.code === code)!;
}

describe('when nothing is wrong', () => {
  it('says so of each part, and ends with 0', async () => {
    const { code, findings } = await site.ask('--application', 'plan', '--selector', 'app=plan');
    const bad = findings.filter(({ severity }) => severity !== 'ok').map((each) => each.code);
    expect(bad).toEqual(['clock.unknown', 'lease.foreign-holder']);
    expect(findings.map((each) => each.code)).toEqual(
      expect.arrayContaining([
        'config.fit',
        'server.reachable',
        'rights.fit',
        'write.fast',
        'fleet.ready',
        'lease.held',
      ]),
    );
    expect(code).toBe(0);
  });

  it('writes nothing but dry runs', async () => {
    const writes: string[] = [];
    site.planted = ({ method, url: path = '' }) => {
      if (method !== 'GET' && !path.includes('accessreviews')) writes.push(path);
      return undefined;
    };
    await site.ask();
    expect(writes.length).toBeGreaterThan(0);
    expect(writes.filter((path) => !path.includes('dryRun=All'))).toEqual([]);
  });
});

describe('when the configuration is wrong', () => {
  it('names a kubeconfig that is not there', async () => {
    const { findings } = await site.ask('--kubeconfig', join(site.folder, 'not-there'));
    const bad = findings.find(({ severity }) => severity === 'error');
    expect(bad?.what).toContain('not-there');
  });
});

describe('when the API server is slow', () => {
  it('gives what is asked later only what is left of its time', async () => {
    site.planted = ({ url: path }) => ({
      ...(path!.startsWith('/version') && { body: { gitVersion: 'v1.37.0' } }),
      delayMs: path!.startsWith('/version') ? 2_000 : 60_000,
    });
    const { what } = found((await site.ask()).findings, 'lease.unreadable');
    const [, withinMs] = /(\d+) ms/.exec(what) ?? [];
    expect(Number(withinMs)).toBeLessThanOrEqual(2_500);
  });
});

describe('when an answer that tells the time is late', () => {
  it('does not take that for a clock that runs at another rate', async () => {
    const seconds = new Set<string>();
    site.planted = (request, body) => {
      const date = new Date().toUTCString();
      const isNew = request.url!.startsWith('/version') && !seconds.has(date);
      if (isNew) seconds.add(date);
      const answer = { ...site.wellAnswer(request, body), headers: { date } };
      // The first beginning of a second that doctor sees.
      return isNew && seconds.size === 2 ? { ...answer, delayMs: 700 } : answer;
    };
    const codes = (await site.ask()).findings.map(({ code }) => code);
    expect(codes).toContain('clock.sane');
  });
});

describe('when rights are looked at', () => {
  it('names the rule to add, with this verb alone', async () => {
    const granted = site.allowed;
    site.allowed = (attributes) => attributes['verb'] !== 'update' && granted(attributes);
    const { fix } = found((await site.ask()).findings, 'rights.missing-update-leases');
    expect(fix).toContain('verbs: ["update"]');
  });

  it('looks at what the application uses beside the election', async () => {
    const { findings } = await site.ask('--features', 'schedule,pods,pod-label,events');
    const codes = findings.map(({ code }) => code);
    expect(codes).toEqual(
      expect.arrayContaining([
        'rights.missing-get-leases',
        'rights.missing-list-pods',
        'rights.missing-patch-pods',
        'rights.missing-create-events',
      ]),
    );
  });

  it('looks at the ConfigMap where that is the lock', async () => {
    const { findings } = await site.ask('--lock', 'config-map', '--config-map', 'plan-leaders');
    const { fix } = found(findings, 'rights.missing-update-configmaps');
    expect(fix).toContain('resourceNames: ["plan-leaders"]');
    expect(findings.map(({ code }) => code)).not.toContain('rights.missing-update-leases');
  });

  it('asks for a service account by its name', async () => {
    const users: unknown[] = [];
    site.planted = ({ url: path }, body) => {
      if (path?.includes('/subjectaccessreviews'))
        users.push((JSON.parse(body) as { spec: { user: string } }).spec.user);
      return undefined;
    };
    await site.ask('--service-account', 'plan');
    expect(new Set(users)).toEqual(new Set(['system:serviceaccount:default:plan']));
  });
});

describe('when writes are measured', () => {
  const TIMES = { requestTimeoutMs: 3_000, renewDeadlineMs: 10_000 };
  it.each<[string, number[], string, RegExp]>([
    ['fast ones', [20, 25, 90], 'write.fast', /profile 'fast' fits/],
    ['slower ones', [200, 210, 600], 'write.fast', /profile 'default' fits/],
    ['one in five of the deadline', [200, 210, 2_100], 'write.slow', /profile 'quiet' fits/],
    [
      'one longer than the request timeout',
      [200, 210, 3_100],
      'write.too-slow',
      /profile 'quiet' fits/,
    ],
    ['one longer than any profile allows', [9_000], 'write.too-slow', /no profile fits/],
  ])('looks at %s, and recommends a profile', (_, tookMs, code, recommended) => {
    const { code: said, what, fix = '' } = latencyFinding(tookMs, TIMES);
    expect(said).toBe(code);
    expect(`${what} ${fix}`).toMatch(recommended);
  });
});

describe('when the lock is a file', () => {
  const inDirectory = (directory: string) =>
    site.ask('--lease', LEASE, '--lock', 'file', '--directory', directory);

  it('says that the first candidate creates a lease, where the directory has others', async () => {
    const directory = join(site.folder, 'leases');
    mkdirSync(directory, { recursive: true });
    const { code, findings } = await inDirectory(directory);
    expect(findings.map((each) => each.code)).toEqual(['config.fit', 'lease.missing']);
    expect(code).toBe(0);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('makes no directory where there is none', async () => {
    const directory = join(site.folder, 'nowhere', 'leases');
    const { code, findings } = await inDirectory(directory);
    const { severity, what, fix } = found(findings, 'file.no-directory');
    expect(what).toBe(`${directory} does not exist, so no process elects a leader there`);
    expect(fix).toMatch(/^Name the directory that the application uses; /);
    expect([severity, code]).toEqual(['warning', 0]);
    expect(readdirSync(site.folder)).not.toContain('nowhere');
  });

  it('names a directory that is none', async () => {
    writeFileSync(join(site.folder, 'no-directory'), '');
    const { code, findings } = await inDirectory(join(site.folder, 'no-directory'));
    expect(found(findings, 'lease.unreadable').what).toContain('it is not a directory');
    expect(code).toBe(1);
  });
});

describe('when a secret is among what is found', () => {
  it('is in no line', async () => {
    const secret = 'eyJhbGciOiJSUzI1NiJ9.c2VjcmV0LXNlY3JldC1zZWNyZXQ.c2lnbmF0dXJl';
    site.planted = () => status(401, `bad token ${secret}`);
    const { findings } = await site.ask('--kubeconfig', site.kubeconfig({}, { token: secret }));
    expect(findings.map(({ code }) => code)).toContain('credentials.refused');
    expect(JSON.stringify(findings)).not.toContain(secret);
  });
});
