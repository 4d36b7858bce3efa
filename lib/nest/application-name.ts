import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

import { isApplicationName } from '../core/election-options.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Nest's and Nx' monorepos have one package with a folder per application: `apps/<name>`, `dist/apps/<name>`. */
const APPLICATION_FOLDER = /(?:^|\/)apps\/([^/]+)\//;

/**
 * What this application is called, for the applications that follow its leader. The same in all its replicas and
 * different in another application as far as a process can tell by itself: OTEL_SERVICE_NAME, or the package that the
 * program belongs to, in a monorepo with the folder of the application. Undefined where nothing says it.
 *
 * The pod's labels would say it better, but a process cannot read them without asking the API server; the host name
 * of a pod is that of the node with hostNetwork and is cut off where it is long.
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

/** A name that is refused as an option does not stop the start, as it was not written for this; the next source counts. */
function usable(name: string | undefined): string | undefined {
  const trimmed = name?.trim();
  return trimmed !== undefined && isApplicationName(trimmed) ? trimmed : undefined;
}

function packageOf(program: string, readText: (path: string) => string): string | undefined {
  if (program === '') return undefined;
  const file = resolve(program);
  // A runner of scripts: whose script it runs, npm says.
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

/** Undefined where there is no such file or it names nothing, as the package.json that only says "type". */
function nameIn(path: string, readText: (path: string) => string): string | undefined {
  try {
    const { name } = JSON.parse(readText(path)) as { readonly name?: unknown };
    return typeof name === 'string' && name.trim() !== '' ? name.trim() : undefined;
  } catch {
    // No package here, or none that can be read: the next folder up may have one.
    return undefined;
  }
}
