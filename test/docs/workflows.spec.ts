import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { loadYaml } from '@kubernetes/client-node';

interface Job {
  readonly needs?: string;
  readonly environment?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly { readonly uses?: string; readonly run?: string }[];
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
    expect(workflow.permissions).toEqual(file === 'ci.yml' ? { contents: 'read' } : {});
  });

  it('runs scripts that exist', () => {
    const commands = steps.map(({ run = '' }) => run).join('\n');
    const named = [...commands.matchAll(/npm run (?:-s )?([\w:-]+)/g)].map(([, name]) => name!);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
    const programs = [...commands.matchAll(/^\.[\w/.-]+/gm)].map(([path]) => path);
    expect(programs.filter((path) => !existsSync(path))).toEqual([]);
  });
});

describe('when a release is made', () => {
  const { jobs } = loadYaml<Workflow>(text('release.yml'));
  const allowed = (right: string) =>
    Object.entries(jobs)
      .filter(([, { permissions = {} }]) => permissions[right] === 'write')
      .map(([name]) => name);

  it('is tested before it is packed, attested before it is staged, and staged by npm’s own trust', () => {
    expect(Object.entries(jobs).map(([name, { needs }]) => [name, needs])).toEqual([
      ['test', undefined],
      ['pack', 'test'],
      ['attest', 'pack'],
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
