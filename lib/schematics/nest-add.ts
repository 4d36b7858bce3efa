import { posix } from 'node:path';
import type { Rule, SchematicContext, Tree } from '@angular-devkit/schematics';
import { MetadataManager } from '@nestjs/schematics';
import { electionManifest, deploymentManifest } from './manifests.js';

/** The options of `nest add nestjs-leader-election`: schema.json says what each is and what it is by default. */
export interface NestAddOptions {
  readonly sourceRoot: string;
  readonly module: string;
  readonly role?: string;
  readonly manifests?: string;
  readonly skipManifests?: boolean;
}

type Logger = SchematicContext['logger'];

const PACKAGE = 'nestjs-leader-election';
const MODULE = 'LeaderElectionModule';

/**
 * `nest add nestjs-leader-election`. It only adds lines and files, and a second run adds nothing. The tree is written at the
 * end, so that a run that throws has changed nothing.
 */
export function nestAdd(options: NestAddOptions): Rule {
  return (tree, { logger }) => {
    const role = roleFor(tree, options);
    registerModule(tree, options, role, logger);
    enableShutdownHooks(tree, options, logger);
    if (options.skipManifests !== true) addManifests(tree, options, role, logger);
    logger.info(`Put @LeaderOnly() above a method that only the leader may run.`);
    return tree;
  };
}

/** A role is also the name of a Lease, of a ServiceAccount and of a Deployment, so it is a DNS label. */
const ROLE = /^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$/;

function roleFor(tree: Tree, { role, sourceRoot }: NestAddOptions): string {
  const given = role ?? asRole(applicationFolder(sourceRoot) ?? packageName(tree));
  if (ROLE.test(given)) return given;
  throw new Error(
    `--role ${JSON.stringify(given)}: it must be 1 to 53 lower-case letters, digits and hyphens, with none at either ` +
      `end, as it names a Lease and a Deployment, too. Give another, for example --role=plan-scheduler.`,
  );
}

function applicationFolder(sourceRoot: string): string | undefined {
  return /(?:^|\/)apps\/([^/]+)/.exec(sourceRoot)?.[1];
}

function packageName(tree: Tree): string {
  const { name } = tree.readJson('package.json') as { readonly name?: string };
  return name?.split('/').at(-1) ?? '';
}

function asRole(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 53)
    .replace(/^-+|-+$/g, '');
}

function registerModule(
  tree: Tree,
  { sourceRoot, module }: NestAddOptions,
  role: string,
  logger: Logger,
): void {
  const path = posix.join(sourceRoot, module);
  const registration = `${MODULE}.forRoot({ role: '${role}', leaseName: '${role}' })`;
  const byHand = `add ${registration} to the imports of your root module`;
  if (!tree.exists(path)) {
    throw new Error(`${path} does not exist. Name the file with --module, or ${byHand}.`);
  }
  const before = tree.readText(path);
  if (before.includes(MODULE)) {
    logger.info(`${path} names ${MODULE} already and stays as it is.`);
    return;
  }
  // It would get a second property of that name, which wins.
  const isShorthand = /@Module\(\s*\{[^]*?\bimports\s*[,}]/.test(before);
  const registered = isShorthand
    ? undefined
    : new MetadataManager(before).insert('imports', registration);
  if (registered === undefined || registered === before) {
    throw new Error(
      `${path} has no @Module({ … }) with an array of imports. Name another file with --module, or ${byHand}.`,
    );
  }
  tree.overwrite(path, withImport(registered));
}

/** Below the last import, of which an import over several lines has the module in its last line. */
function withImport(source: string): string {
  const line = `import { ${MODULE} } from '${PACKAGE}';`;
  const lines = source.split('\n');
  const last = lines.findLastIndex((each) => /^(import\b.*|\} )from ['"]/.test(each));
  lines.splice(last + 1, 0, line + carriageReturn(source));
  return lines.join('\n');
}

/** What a line of this file has before its end. */
function carriageReturn(source: string): string {
  return source.includes('\r\n') ? '\r' : '';
}

/** Without it, SIGTERM ends the process before it has released the lease. */
function enableShutdownHooks(tree: Tree, { sourceRoot }: NestAddOptions, logger: Logger): void {
  const path = posix.join(sourceRoot, 'main.ts');
  const source = tree.exists(path) ? tree.readText(path) : '';
  if (source.includes('enableShutdownHooks')) return;
  const listening = /^([ \t]*)(?:await |return |void )?(\w+)\.listen\(/m.exec(source);
  if (listening === null) {
    logger.warn(
      `Call app.enableShutdownHooks() where your application is created; no app.listen() was found in ${path}. Without it, ` +
        `SIGTERM does not hand leadership over, and the other replicas wait until the lease expires.`,
    );
    return;
  }
  const [, indent, app] = listening;
  const line = `${indent}${app}.enableShutdownHooks(); // SIGTERM hands leadership over`;
  const [before, after] = [source.slice(0, listening.index), source.slice(listening.index)];
  tree.overwrite(path, `${before}${line}${carriageReturn(source)}\n${after}`);
}

function addManifests(
  tree: Tree,
  { sourceRoot, manifests }: NestAddOptions,
  role: string,
  logger: Logger,
): void {
  const folder = manifests ?? posix.join(posix.dirname(sourceRoot), 'k8s');
  const workloads = workloadsIn(tree, folder);
  addFile(tree, posix.join(folder, 'leader-election.yaml'), electionManifest(role), logger);
  if (workloads.length === 0) {
    addFile(tree, posix.join(folder, 'deployment.yaml'), deploymentManifest(role), logger);
  }
  for (const path of workloads) {
    if (tree.readText(path).includes('POD_NAME')) continue;
    logger.warn(
      `${path} stays as it is. Add to its pods what the head of leader-election.yaml lists.`,
    );
  }
}

const WORKLOAD = /^kind: *['"]?(Deployment|StatefulSet)\b/m;

function workloadsIn(tree: Tree, folder: string): string[] {
  const found: string[] = [];
  tree.getDir(folder).visit((path) => {
    if (/\.ya?ml$/.test(path) && WORKLOAD.test(tree.readText(path))) found.push(path.slice(1));
  });
  return found;
}

function addFile(tree: Tree, path: string, text: string, logger: Logger): void {
  if (tree.exists(path)) logger.info(`${path} exists already and stays as it is.`);
  else tree.create(path, text);
}
