import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadYaml } from '@kubernetes/client-node';

interface Job {
  readonly if?: string;
  readonly 'timeout-minutes'?: number;
  readonly needs?: string;
  readonly environment?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly {
    readonly uses?: string;
    readonly run?: string;
    readonly with?: Readonly<Record<string, unknown>>;
  }[];
}

interface Workflow {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const FOLDER = '.github/workflows';
const files = readdirSync(FOLDER);
const text = (file: string) => readFileSync(join(FOLDER, file), 'utf8');
const scripts = (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: object }).scripts;

describe.each(files)('when the workflow %s runs', (file) => {
  const workflow = loadYaml<Workflow>(text(file));
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);

  it('uses actions by the hash of a commit, with their version beside it', () => {
    const used = [...text(file).matchAll(/uses: (.+)/g)].map(([, what]) => what!);
    expect(used.length).toBeGreaterThan(0);
    expect(
      used.filter((what) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(what)),
    ).toEqual([]);
  });

  it('has no secret, and no rights that its jobs do not name', () => {
    expect(text(file)).not.toMatch(/secrets\.|NPM_TOKEN|NODE_AUTH_TOKEN|pull_request_target/);
    expect(workflow.permissions).toEqual(file === 'release.yml' ? {} : { contents: 'read' });
  });

  it('gives no script a text that a stranger wrote, and no step the token of the checkout', () => {
    expect(steps.filter(({ run = '' }) => run.includes('${{'))).toEqual([]);
    const checkouts = steps.filter(({ uses = '' }) => uses.startsWith('actions/checkout@'));
    expect(checkouts.filter((step) => step.with?.['persist-credentials'] !== false)).toEqual([]);
  });

  it('ends by itself', () => {
    const endless = Object.entries(workflow.jobs).filter(([, job]) => !job['timeout-minutes']);
    expect(endless.map(([name]) => name)).toEqual([]);
  });

  it('runs scripts that exist', () => {
    const commands = steps.map(({ run = '' }) => run).join('\n');
    const named = [...commands.matchAll(/npm run (?:-s )?([\w:-]+)/g)].map(([, name]) => name!);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
    const programs = [...commands.matchAll(/(?:^|node )(\.[\w/.-]+)/gm)].map(([, path]) => path!);
    expect(programs.filter((path) => !existsSync(path))).toEqual([]);
  });
});

describe('when a release is made', () => {
  const { jobs } = loadYaml<Workflow>(text('release.yml'));
  const allowed = (right: string) =>
    Object.entries(jobs)
      .filter(([, { permissions = {} }]) => permissions[right] === 'write')
      .map(([name]) => name);

  it('is checked before it is tested, tested before it is packed, made again before it is attested, attested before it is staged, and staged by npm’s own trust', () => {
    expect(Object.entries(jobs).map(([name, { needs }]) => [name, needs])).toEqual([
      ['check', undefined],
      ['test', 'check'],
      ['pack', 'test'],
      ['reproduce', 'pack'],
      ['attest', 'reproduce'],
      ['stage', 'attest'],
    ]);
    expect(jobs['stage']!.environment).toBe('npm');
    expect(jobs['stage']!.steps.at(-1)!.run).toMatch(/^npm stage publish .* --provenance/);
  });

  it('shows an identity only where no code of the repository or its packages runs', () => {
    expect(allowed('id-token')).toEqual(['attest', 'stage']);
    expect(allowed('contents')).toEqual([]);
    for (const name of ['attest', 'stage']) {
      const steps = jobs[name]!.steps.map(({ uses = '', run = '' }) => `${uses}${run}`);
      expect(steps.filter((step) => /checkout|npm (?:ci|run)|\.ci\//.test(step))).toEqual([]);
    }
  });
});

describe('when a tag is pushed', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'may-release-'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function checked(repository: unknown, { tag = `v${version}`, isFork = false } = {}) {
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ version, repository }));
    const [output, summary] = ['output', 'summary'].map((name) => join(folder, name)) as [
      string,
      string,
    ];
    writeFileSync(output, '');
    writeFileSync(summary, '');
    const { status, stdout } = spawnSync(process.execPath, [resolve('.ci/may-release.js')], {
      cwd: folder,
      encoding: 'utf8',
      env: {
        GITHUB_REF_NAME: tag,
        GITHUB_REPOSITORY: 'Acme/nestjs-leader-election',
        GITHUB_OUTPUT: output,
        GITHUB_STEP_SUMMARY: summary,
        IS_FORK: String(isFork),
      },
    });
    const said = readFileSync(summary, 'utf8');
    return { status, said, annotated: stdout, set: readFileSync(output, 'utf8').trim() };
  }

  it.each([
    'https://github.com/acme/nestjs-leader-election',
    'git+https://github.com/Acme/nestjs-leader-election.git',
    { type: 'git', url: 'git@github.com:Acme/nestjs-leader-election.git' },
    'github:Acme/nestjs-leader-election',
    'Acme/nestjs-leader-election',
  ])('releases a package that names its repository as %j', (repository) => {
    const nothingSaid = { status: 0, said: '', annotated: '', set: 'releases=true' };
    expect(checked(repository)).toEqual(nothingSaid);
    expect(checked(repository, { isFork: true }).set).toBe('releases=true');
  });

  it.each([
    undefined,
    'Other/nestjs-leader-election',
    'https://github.com/Acme/nestjs-leader-election-too',
    'https://github.com/Acme/nestjs-leader-election/tree/main',
    'https://example.org/Acme/nestjs-leader-election',
  ])('stops where the package names %j, and says what to set', (repository) => {
    const { status, said, annotated, set } = checked(repository);
    expect([status, set]).toEqual([1, '']);
    expect(annotated).toBe(`::error title=Release::${said}`);
    expect(said).toMatch(/repository in package\.json .*github\.com\/Acme\/nestjs-leader-election/);
  });

  it('releases nothing in a fork of it, which is no failure, and says why', () => {
    const fork = checked('Other/nestjs-leader-election', { isFork: true });
    const { status, said, annotated, set } = fork;
    expect([status, set]).toEqual([0, 'releases=false']);
    expect(annotated).toBe(`::notice title=Release::${said}`);
    expect(said).toMatch(/this is a fork/);
  });

  it('stops if the tag is not the version', () => {
    const { status, said, set } = checked('Acme/nestjs-leader-election', { tag: 'v9.9.9' });
    expect([status, set]).toEqual([1, '']);
    expect(said).toContain(`v9.9.9 is not v${version}`);
  });

  it('runs no other job of a release before that', () => {
    const { jobs } = loadYaml<Workflow>(text('release.yml'));
    expect(jobs['test']!.if).toBe("needs.check.outputs.releases == 'true'");
  });
});
