import { readFileSync } from 'node:fs';
import { format } from 'prettier';
import type ts from 'typescript';
import type { Option, PublicOptions, Receiver, SubPath } from './public-options.js';
import { rulesOf, START_CHECKS } from './start-checks.js';

export const PAGE = 'docs/configuration.md';

/** The first receiver of the first entry: its options have anchors of one word. */
const MODULE = 'LeaderElectionModule.forRoot';

const INTRODUCTION = `# Configuration reference

Every option of every part of the package, written from its types and docstrings by \`npm run docs:options\`. To choose among
them, read [options and locks](options.md).

- Wrong options stop the start, with one error that lists all of them, each with its rule and a fix. A rule on this page
  says what that error says.
- A name says its unit: \`…Ms\` is a whole number of milliseconds, \`…Seconds\` of seconds.
- Text must not be empty, have spaces around it or contain control characters. \`undefined\` counts as absent.
- All options exist since 0.1.0, unless they say otherwise.`;

/** Where an option is described: at the first receiver that takes it. */
interface Described {
  readonly anchor: string;
  readonly receiver: Receiver;
}

/** Writes docs/configuration.md, as prettier would leave it. */
export async function configurationPage(options: PublicOptions): Promise<string> {
  const page = new Page(options.subPaths());
  const variables = options.variables().map(({ name, text }) => {
    return `| \`${name}\` | ${oneLine(text)} |`;
  });
  const text = [
    INTRODUCTION,
    '## Contents',
    page.contents(),
    ...page.sections(),
    '## Environment variables',
    'The library reads these and no others. An option that is given counts more than a variable.',
    ['| variable | what it does |', '| --- | --- |', ...variables].join('\n'),
  ].join('\n\n');
  const style = JSON.parse(readFileSync('.prettierrc.json', 'utf8')) as object;
  return format(text, { ...style, parser: 'markdown', proseWrap: 'always', printWidth: 100 });
}

class Page {
  private readonly described = new Map<ts.Declaration, Described>();
  private readonly subPaths: readonly SubPath[];

  constructor(subPaths: readonly SubPath[]) {
    this.subPaths = subPaths.map((subPath) => ({
      ...subPath,
      receivers: subPath.receivers.toSorted((one, other) => rankOf(one) - rankOf(other)),
    }));
    for (const { receivers } of this.subPaths) {
      for (const receiver of receivers) this.describe(receiver);
    }
  }

  contents(): string {
    const lines = this.subPaths.flatMap(({ specifier, receivers }) => [
      `- [\`${specifier}\`](#${specifier})`,
      ...this.withOptions(receivers).map((receiver) => {
        const links = this.ownOptions(receiver).map((option) => this.linkTo(option));
        const names = links.length > 0 ? `: ${links.join(', ')}` : '';
        return `  - [\`${shortName(receiver)}\`](#${receiver.path})${names}`;
      }),
    ]);
    return [...lines, '- [Environment variables](#environment-variables)'].join('\n');
  }

  sections(): string[] {
    return this.subPaths.flatMap((subPath) => [
      `## <a id="${subPath.specifier}"></a>\`${subPath.specifier}\``,
      this.prose(subPath.text),
      ...this.withOptions(subPath.receivers).flatMap((receiver) => this.section(receiver)),
      ...this.alsoTaken(subPath),
    ]);
  }

  private describe(receiver: Receiver): void {
    for (const option of allOptions(receiver.options)) {
      if (this.described.has(option.declaration)) continue;
      const prefix = receiver.path === MODULE ? '' : `${anchorPrefixOf(receiver)}.`;
      this.described.set(option.declaration, { anchor: `${prefix}${option.name}`, receiver });
    }
  }

  private ownOptions(receiver: Receiver): Option[] {
    return receiver.options.filter(
      ({ declaration }) => this.described.get(declaration)?.receiver === receiver,
    );
  }

  /** Those that have something of their own to say. */
  private withOptions(receivers: readonly Receiver[]): Receiver[] {
    return receivers.filter(
      (receiver) => receiver.isDecorator || this.ownOptions(receiver).length > 0,
    );
  }

  /** A lock is the same on two sub-paths, and what an election takes is described once. */
  private alsoTaken({ receivers }: SubPath): string[] {
    const others = receivers.filter((receiver) => !this.withOptions([receiver]).includes(receiver));
    if (others.length === 0) return [];
    const links = others.map((receiver) => {
      const owner = this.described.get(receiver.options[0]!.declaration)!.receiver;
      return owner.path === receiver.path
        ? `[\`${receiver.path}()\`](#${owner.path})`
        : `\`${shortName(receiver)}\`, as [\`${owner.path}()\`](#${owner.path})`;
    });
    return [`Also here, and described elsewhere on this page: ${links.join('; ')}.`];
  }

  private section(receiver: Receiver): string[] {
    const own = this.ownOptions(receiver);
    return [
      `### <a id="${receiver.path}"></a>\`${receiver.call}\``,
      this.prose(receiver.text.split('\n\n')[0]!, receiver),
      ...receiver.parameters.map(
        ({ name, text }) => `- \`${name}\`: ${this.prose(text, receiver)}`,
      ),
      ...exampleOf(receiver.example),
      ...this.inherited(receiver, own),
      ...allOptions(own).flatMap((option) => this.option(option, receiver)),
    ];
  }

  private inherited({ options }: Receiver, own: readonly Option[]): string[] {
    const shared = options.filter((option) => !own.includes(option));
    const ownerOf = ({ declaration }: Option) => this.described.get(declaration)!.receiver;
    return [...new Set(shared.map(ownerOf))].map((owner) => {
      const names = new Set(shared.filter((option) => ownerOf(option) === owner).map(nameOf));
      const [taken, left] = [true, false].map((isTaken) =>
        this.ownOptions(owner)
          .filter(({ name }) => names.has(name) === isTaken)
          .map((option) => this.linkTo(option)),
      );
      const isNearlyAll = left!.length > 0 && left!.length * 3 < taken!.length;
      const which = isNearlyAll ? `all options but ${left!.join(', ')}` : taken!.join(', ');
      return `As for [\`${owner.path}()\`](#${owner.path}): ${which}.`;
    });
  }

  private option(option: Option, receiver: Receiver): string[] {
    const { anchor } = this.described.get(option.declaration)!;
    const check = START_CHECKS[receiver.path];
    const rules = (check === undefined ? [] : rulesOf(check, option.name)).filter(
      (rule) => isWrittenOut(option) || /^needs\b/.test(rule),
    );
    return [
      `#### <a id="${anchor}"></a>\`${option.name}\``,
      this.prose(factsOf(option).join(' · '), receiver, option),
      this.prose(option.text, receiver, option),
      ...(rules.length > 0 ? [this.prose(`Rule: ${readable(rules.join('; '))}.`, receiver)] : []),
      [
        ...exampleOf(option.example),
        ...(option.see.length > 0 ? [`More: ${option.see.map(linkToPage).join(', ')}`] : []),
      ].join(' · '),
    ];
  }

  private linkTo({ name, declaration }: Option): string {
    return `[\`${name}\`](#${this.described.get(declaration)!.anchor})`;
  }

  /** A docstring as markdown of the docs: other options and pages are linked. */
  private prose(text: string, receiver?: Receiver, about?: Option): string {
    return text
      .replace(/\{@link LeaderElectionModuleOptions\.(\w+)\s*\}/g, '[`$1`](#$1)')
      .replace(/\{@link (?:\w+\.)*(\w+)\s*\}/g, '`$1`')
      .replace(/(?<![\w/(])docs\/([\w-]+)\.md/g, '[$1.md]($1.md)')
      .replace(/(?<!\[)`([\w.]+)`/g, (code, name: string) => {
        if (receiver === undefined || name === about?.name) return code;
        const option = this.named(name, receiver);
        return option === undefined ? code : this.linkTo({ ...option, name });
      })
      .replace(/\b(?<=\()(R\d+)(?=\))/g, '[$1](rules.md)');
  }

  /** An option of the same receiver, or one whose name no other receiver has. */
  private named(name: string, receiver: Receiver): Option | undefined {
    const module = this.subPaths[0]!.receivers.find(({ path }) => path === MODULE)!;
    const distinct = /Ms$|^(members|podWatch|profile|strict|address|placement)$/.test(name);
    return [receiver, ...(distinct ? [module] : [])]
      .flatMap(({ options }) => allOptions(options))
      .find((option) => option.name === name || option.name.endsWith(`.${name}`));
  }
}

/** Modules, what decorates, what is called, what is called later. */
function rankOf({ path, isDecorator }: Receiver): number {
  if (path.endsWith('.forRoot')) return 0;
  if (path.endsWith('.forRootAsync')) return 1;
  if (isDecorator) return 2;
  if (path.endsWith('.for')) return 3;
  return path.includes('.') ? 5 : 4;
}

function anchorPrefixOf({ path }: Receiver): string {
  return path.replace(/\.(forRoot|for)$/, '');
}

/** For the contents: `@LeaderOnly()`. */
function shortName({ call }: Receiver): string {
  return call.replace(/\(.+\)$/, '()');
}

function nameOf({ name }: Option): string {
  return name;
}

/** With the parts of each after it. */
export function allOptions(options: readonly Option[]): Option[] {
  return options.flatMap((option) => [option, ...allOptions(option.parts)]);
}

/** An object or a function is explained by its type and its text. */
function isWrittenOut({ type }: Option): boolean {
  return /^(string|number)\b/.test(type);
}

function factsOf({ name, type, isOptional, default: value, since }: Option): string[] {
  const unit = name.endsWith('Ms')
    ? ' of milliseconds'
    : name.endsWith('Seconds')
      ? ' of seconds'
      : '';
  return [
    `\`${type}\`${unit}`,
    isOptional ? `default ${defaultText(value ?? 'none')}` : 'required',
    ...(since === undefined ? [] : [`since ${since}`]),
  ];
}

/** The literal that a default is; undefined if it is none, or is one only in some cases. */
export function literalOf(value: string): string | undefined {
  return /^('[^']*'|\d[\d_]*|true|false)(?=$|[,;:])/.exec(value)?.[0];
}

/** What begins with a literal begins with code. */
function defaultText(value: string): string {
  const text = oneLine(value);
  const [literal] = /^('[^']*'|\d[\d_]*|true|false)(?![\w.])/.exec(text) ?? [];
  return literal === undefined ? text : `\`${literal}\`${text.slice(literal.length)}`;
}

/** That of an option is one line: there are many of them. */
function exampleOf(example: string | undefined): string[] {
  if (example === undefined) return [];
  if (!isOfOption(example)) return ['```ts\n' + example + '\n```'];
  return [`Example: ${example.includes('`') ? `\`\` ${example} \`\`` : `\`${example}\``}`];
}

function isOfOption(example: string): boolean {
  return /^\w+:.*$/.test(example);
}

/** `docs/lifecycle.md#eligibility` under the heading that it leads to. */
function linkToPage(target: string): string {
  const [file = '', anchor] = target.split('#');
  const text = readFileSync(file, 'utf8');
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!);
  const heading = headings.find((each) => anchor === undefined || slugOf(each) === anchor);
  if (heading === undefined) throw new Error(`${target} is no heading of the docs.`);
  return `[${heading.replace(/`/g, '')}](${target.replace('docs/', '')})`;
}

function slugOf(heading: string): string {
  const words = heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '');
  return words.trim().replaceAll(' ', '-');
}

function readable(rule: string): string {
  return rule
    .replace(/(?<![-.\d])\d{4,}(?!\d|\.\d)/g, (digits) => Number(digits).toLocaleString('en'))
    .replace(/\b\w+(Ms|Seconds)\b/g, '`$&`');
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
