import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';

/**
 * Gives each file of the package the mode that it has under the usual umask: npm packs the modes that it finds, so a
 * checkout under umask 077 would make another tarball of the same commit.
 */
const pack = ['pack', '--dry-run', '--ignore-scripts', '--json'];
const [{ files }] = JSON.parse(execFileSync('npm', pack, { encoding: 'utf8' }));
for (const { path } of files) chmodSync(path, 0o644);
