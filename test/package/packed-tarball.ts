import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The package as it would be published, of what `npm run test:package` has just built, put into the folder; its path. */
export async function packedTarball(folder: string): Promise<string> {
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await promisify(execFile)('npm', pack, { cwd: root });
  return join(folder, (JSON.parse(stdout) as { filename: string }[])[0]!.filename);
}
