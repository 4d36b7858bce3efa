import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

const FORMS = '.github/ISSUE_TEMPLATE';
/** In the place of an account that these files cannot know; CONTRIBUTING.md says what to set. */
const PLACEHOLDER = 'OWNER';

interface Part {
  readonly type: string;
  readonly id?: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly validations?: { readonly required?: unknown };
}

interface Form {
  readonly name: string;
  readonly description: string;
  readonly labels?: readonly string[];
  readonly body: readonly Part[];
}

/** The attributes that GitHub demands of each kind of part, and those that it knows. */
const ATTRIBUTES: Readonly<Record<string, readonly [demanded: string[], known: string[]]>> = {
  markdown: [['value'], []],
  input: [['label'], ['description', 'placeholder', 'value']],
  textarea: [['label'], ['description', 'placeholder', 'value', 'render']],
  dropdown: [
    ['label', 'options'],
    ['description', 'multiple', 'default'],
  ],
  checkboxes: [['label', 'options'], ['description']],
};

function read(file: string): string {
  return readFileSync(file, 'utf8');
}

/** What GitHub would refuse of a form. */
function faultsOf(form: Form): string[] {
  const ids = form.body.map(({ id }) => id).filter((id) => id !== undefined);
  const labels = form.body.map(({ attributes }) => attributes['label']).filter(Boolean);
  return [
    ...unknownKeys(form, ['name', 'description', 'title', 'labels', 'assignees', 'body']),
    ...(form.name.length < 3 || form.description.length < 3 ? ['name or description'] : []),
    ...(form.body.every(({ type }) => type === 'markdown') ? ['asks for nothing'] : []),
    ...(new Set(ids).size < ids.length ? ['an id twice'] : []),
    ...(new Set(labels).size < labels.length ? ['a label twice'] : []),
    ...form.body.flatMap((part) => faultsOfPart(part).map((fault) => `${part.id}: ${fault}`)),
  ];
}

function faultsOfPart({ type, id, attributes, validations, ...others }: Part): string[] {
  const [demanded, known] = ATTRIBUTES[type] ?? [['a known type'], []];
  const options = attributes['options'];
  const texts = Array.isArray(options) ? options.map(optionText) : [];
  return [
    ...Object.keys(others),
    ...demanded.filter((name) => !attributes[name]),
    ...unknownKeys(attributes, [...demanded, ...known]),
    ...(type === 'markdown' || /^[A-Za-z][\w-]*$/.test(id ?? '') ? [] : ['id']),
    ...unknownKeys(validations ?? {}, type === 'checkboxes' ? [] : ['required']),
    ...(typeof (validations?.required ?? false) === 'boolean' ? [] : ['required']),
    ...(texts.every((text) => typeof text === 'string' && text !== 'None') ? [] : ['an option']),
    ...(new Set(texts).size < texts.length ? ['an option twice'] : []),
  ];
}

function optionText(option: unknown): unknown {
  return typeof option === 'object' && option !== null && 'label' in option ? option.label : option;
}

function unknownKeys(value: object, known: readonly string[]): string[] {
  return Object.keys(value).filter((key) => !known.includes(key));
}

describe('when a user opens an issue', () => {
  const forms = readdirSync(FORMS).filter((file) => file !== 'config.yml');

  it.each(forms)('shows the form %s, in which GitHub finds no fault', (file) => {
    expect(faultsOf(parse(read(join(FORMS, file))) as Form)).toEqual([]);
  });

  it('asks for the version, the lock, doctor and the log of a bug, and demands all but doctor', () => {
    const { body } = parse(read(join(FORMS, 'bug.yml'))) as Form;
    const required = body.filter(({ validations }) => validations?.required).map(({ id }) => id);
    expect(required).toEqual(['happened', 'version', 'lock', 'versions', 'log']);
    expect(body.map(({ id }) => id)).toContain('doctor');
  });

  it('sends questions and vulnerabilities elsewhere, and vulnerabilities to a private place', () => {
    const { blank_issues_enabled, contact_links } = parse(read(join(FORMS, 'config.yml'))) as {
      readonly blank_issues_enabled: boolean;
      readonly contact_links: readonly Readonly<Record<'name' | 'url' | 'about', string>>[];
    };
    expect(blank_issues_enabled).toBe(false);
    expect(contact_links.map(({ name, url }) => [name, new URL(url).pathname])).toEqual([
      ['Question', expect.stringMatching(/\/discussions$/)],
      ['Vulnerability', expect.stringMatching(/\/security\/advisories\/new$/)],
    ]);
    expect(contact_links.filter(({ about }) => !about)).toEqual([]);
  });

  it('names documents that exist', () => {
    const files = [...forms.map((file) => join(FORMS, file)), '.github/PULL_REQUEST_TEMPLATE.md'];
    const named = files.flatMap((file) => [...read(file).matchAll(/\b((?:docs\/)?[\w-]+\.md)\b/g)]);
    expect(named.length).toBeGreaterThan(4);
    expect(named.map(([, path]) => path!).filter((path) => !existsSync(path))).toEqual([]);
  });
});

describe('when a change is to be reviewed', () => {
  /** Rules that wait in comments for an owner count, too. */
  const rules = read('.github/CODEOWNERS')
    .split('\n')
    .map((line) => line.replace(/^# (?=[*/])/, ''))
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(/\s+/));

  it('has owners in the form of an account or a team, for paths that exist', () => {
    expect(rules.length).toBeGreaterThan(5);
    expect(rules.filter(([, ...owners]) => !owners.every(isOwner) || !owners.length)).toEqual([]);
    const paths = rules.map(([path]) => path!).filter((path) => path !== '*');
    expect(paths.filter((path) => !path.startsWith('/') || !existsSync(path.slice(1)))).toEqual([]);
    expect(rules[0]![0]).toBe('*');
  });

  it('has no rule in force whose owner is the placeholder', () => {
    const inForce = read('.github/CODEOWNERS')
      .split('\n')
      .filter((line) => !line.startsWith('#'));
    expect(inForce.filter((line) => line.includes(`@${PLACEHOLDER}`))).toEqual([]);
  });
});

function isOwner(owner: string): boolean {
  return /^@[A-Za-z\d](?:[A-Za-z\d-]*[A-Za-z\d])?(?:\/[\w.-]+)?$|^\S+@\S+\.\S+$/.test(owner);
}

describe('when the package has an address', () => {
  const { repository } = JSON.parse(read('package.json')) as {
    readonly repository?: string | { readonly url: string };
  };
  const address = typeof repository === 'string' ? repository : repository?.url;
  const files = [`${FORMS}/config.yml`, '.github/CODEOWNERS'];

  it('is named by all files, and none has the placeholder; until then they have it', () => {
    const waiting = files.filter((file) => new RegExp(`\\b${PLACEHOLDER}\\b`).test(read(file)));
    expect(waiting).toEqual(address === undefined ? files : []);
    const links = [...read(files[0]!).matchAll(/github\.com\/([\w.-]+\/[\w.-]+)/g)];
    const named = links.filter(([, name]) => address !== undefined && !address.includes(name!));
    expect(named).toEqual([]);
  });
});

describe('when dependencies are kept up to date', () => {
  const { version, updates } = parse(read('.github/dependabot.yml')) as {
    readonly version: number;
    readonly updates: readonly {
      readonly 'package-ecosystem': string;
      readonly directory?: string;
      readonly directories?: readonly string[];
      readonly schedule: { readonly interval: string };
      readonly allow?: readonly object[];
      readonly 'versioning-strategy'?: string;
      readonly ignore?: readonly { readonly 'dependency-name': string }[];
    }[];
  };
  const MANIFESTS: Readonly<Record<string, string>> = {
    npm: 'package.json',
    'github-actions': '.github/workflows',
    gomod: 'go.mod',
    docker: 'Dockerfile',
  };

  it('looks at every kind of dependency where it is', () => {
    expect(version).toBe(2);
    expect(updates.map((update) => update['package-ecosystem']).toSorted()).toEqual(
      Object.keys(MANIFESTS).toSorted(),
    );
    const manifests = updates.flatMap(
      ({ 'package-ecosystem': kind, directory, directories = [directory!] }) =>
        directories.map((folder) => join('.', folder, MANIFESTS[kind]!)),
    );
    expect(manifests.filter((manifest) => !existsSync(manifest))).toEqual([]);
    expect(updates.filter(({ schedule }) => !/^(weekly|monthly)$/.test(schedule.interval))).toEqual(
      [],
    );
  });

  it('leaves the ranges of the peers alone, and knows what it holds back', () => {
    const npm = updates.find((update) => update['package-ecosystem'] === 'npm')!;
    expect(npm.allow).toEqual([{ 'dependency-type': 'development' }]);
    expect(npm['versioning-strategy']).toBe('increase-if-necessary');
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: object };
    const held = npm.ignore!.map((each) => each['dependency-name']);
    expect(held.filter((name) => !(name in devDependencies))).toEqual([]);
    const ranges = Object.values(devDependencies).filter(
      (range: string) => !/^(npm:[\w@/-]+@)?\d+\.\d+\.\d+$/.test(range),
    );
    expect(ranges).toEqual([]);
  });
});
