import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The package as it would be published, of what `npm run build` has just built, put into the folder; its path. */
export async function packedTarball(folder: string): Promise<string> {
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await promisify(execFile)('npm', pack);
  return join(folder, (JSON.parse(stdout) as { filename: string }[])[0]!.filename);
}
