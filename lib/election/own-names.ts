import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { Environment } from '../core/environment.js';
import { isApplicationName } from '../core/election-options.js';
import { textFault } from '../core/option-reader.js';
import { kernelUuid } from '../locks/kernel-entropy.js';

/** Nest's and Nx' monorepos have one package with a folder per application: `apps/<name>`, `dist/apps/<name>`. */
const APPLICATION_FOLDER = /(?:^|\/)apps\/([^/]+)\//;

/**
 * The name of this application, for the applications that follow its leader. As far as a process can know by itself, it
 * is the same in all replicas and different in another application: OTEL_SERVICE_NAME, or the package that the program
 * belongs to, in a monorepo with the folder of the application. Undefined if there is neither.
 *
 * The pod's labels would be a better name, but a process cannot read them without asking the API server. The host name
 * of a pod is that of the node with hostNetwork, and is cut off if it is long.
 */
export function applicationName(
  env: Environment = process.env,
  program: string = process.argv[1] ?? '',
  readText: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): string | undefined {
  return (
    usable(env['OTEL_SERVICE_NAME']) ??
    usable(packageOf(program, readText)) ??
    usable(env['npm_package_name'])
  );
}

/**
 * A name that is invalid as an option does not stop the start, as it was not written for this purpose; the next source
 * counts.
 */
function usable(name: string | undefined): string | undefined {
  const trimmed = name?.trim();
  return trimmed !== undefined && isApplicationName(trimmed) ? trimmed : undefined;
}

function packageOf(program: string, readText: (path: string) => string): string | undefined {
  if (program === '') return undefined;
  const file = resolve(program);
  // This is a runner of scripts; npm says whose script it runs.
  if (file.split(sep).includes('node_modules')) return undefined;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const name = nameIn(join(folder, 'package.json'), readText);
    if (name !== undefined) {
      const within = relative(folder, file).split(sep).join('/');
      const application = APPLICATION_FOLDER.exec(within)?.[1];
      return application === undefined ? name : `${name}/${application}`;
    }
    if (dirname(folder) === folder) return undefined;
  }
}

/** Undefined if there is no such file or it has no name, like a package.json that only has "type". */
function nameIn(path: string, readText: (path: string) => string): string | undefined {
  try {
    const { name } = JSON.parse(readText(path)) as { readonly name?: unknown };
    return typeof name === 'string' && name.trim() !== '' ? name.trim() : undefined;
  } catch {
    // There is no readable package here; the next folder up may have one.
    return undefined;
  }
}

/** The longest name of a pod. */
const LONGEST_PLACE = 253;

/**
 * A holder identity that no other process and no other election has: `<pod or host>_<uuid>`. The first half is for
 * people and may be shared (hostNetwork, `localhost`); only the second distinguishes two candidates (R8).
 */
export function localIdentity(env: Environment = process.env): string {
  const names = [env['POD_NAME'], env['HOSTNAME'], hostname()].map((name) => name?.trim());
  const place =
    names.find((name) => textFault(name, '', LONGEST_PLACE) === undefined) ?? 'localhost';
  return `${place}_${kernelUuid()}`;
}
