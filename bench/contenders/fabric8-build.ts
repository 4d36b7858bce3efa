import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inRepository } from '../../proof/control-plane/go-build.js';

const SOURCES = 'bench/contenders/fabric8';
const FILES = ['pom.xml', 'Fabric8Contender.java'] as const;

/** This machine has no Java, or no Maven, or Maven cannot fetch what it needs. */
export class NoFabric8Error extends Error {}

/** The class path of the program, built once and kept outside the work tree. */
export async function fabric8ClassPath(): Promise<string> {
  const sources = inRepository(SOURCES);
  const hash = createHash('sha256');
  for (const file of FILES) hash.update(readFileSync(join(sources, file)));
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const key = hash.digest('hex').slice(0, 16);
  const target = join(cache, 'nestjs-leader-election', 'fabric8', key);
  if (!existsSync(target)) await build(sources, target);
  return [join(target, 'target/classes'), join(target, 'target/dependency/*')].join(':');
}

async function build(sources: string, target: string): Promise<void> {
  const building = `${target}.${randomUUID()}`;
  mkdirSync(building, { recursive: true });
  try {
    for (const file of FILES) cpSync(join(sources, file), join(building, file));
    process.stderr.write('Building the contender of fabric8 with Maven, once.\n');
    await promisify(execFile)('java', ['-version']);
    const goals = ['compile', 'dependency:copy-dependencies'];
    await promisify(execFile)('mvn', ['-q', '-B', ...goals], { cwd: building });
    // The name is only ever that of a whole build.
    if (!existsSync(target)) renameSync(building, target);
  } catch (error) {
    const { code, path, stdout = '' } = error as { code?: unknown; path?: string; stdout?: string };
    const why =
      code === 'ENOENT' ? `there is no ${path}` : `Maven failed: ${stdout.slice(0, 300).trim()}`;
    throw new NoFabric8Error(why, { cause: error });
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}
