import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));

/** What the types of the main entry may ask of a user's installation: the peers that are not optional. */
const ALLOWED = /^(@nestjs\/common|@nestjs\/core|rxjs|node:.*|\.{1,2}\/.*)$/;
/** A sub-path may ask for the optional peers that it exists for. */
const ALLOWED_OF_SCHEDULE = /^(@nestjs\/schedule|cron)$/;

function importsOf(file: string): string[] {
  const text = readFileSync(join(dist, file), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*['"]([^'"]+)['"]/g)].map(([, name]) => name!);
}

describe('when a user compiles against the published types', () => {
  const declarations = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.d.ts'),
  );

  it('finds declarations at all', () => {
    expect(declarations).toContain('index.d.ts');
  });

  it.each(declarations)('needs no optional package for %s', (file) => {
    const isSchedule = file.startsWith('schedule');
    const strange = importsOf(file).filter(
      (name) => !ALLOWED.test(name) && !(isSchedule && ALLOWED_OF_SCHEDULE.test(name)),
    );
    expect(strange).toEqual([]);
  });
});

describe('when the library is loaded', () => {
  it('does not load the schedule with the main entry', () => {
    const scripts = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.js') && !file.startsWith('schedule'),
    );
    const strays = scripts.filter((file) =>
      /from '([^']*\/schedule\/[^']*|cron|@nestjs\/schedule)'/.test(
        readFileSync(join(dist, file), 'utf8'),
      ),
    );
    expect(strays).toEqual([]);
  });

  it('imports client-node nowhere but in the kubeconfig path, and there only when it is used', () => {
    const scripts = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.js'),
    );
    const mentioning = scripts.filter((file) =>
      /['"]@kubernetes\/client-node['"]/.test(readFileSync(join(dist, file), 'utf8')),
    );
    expect(mentioning).toEqual([join('kubernetes', 'connection', 'kubeconfig.loader.js')]);
    expect(readFileSync(join(dist, mentioning[0]!), 'utf8')).not.toMatch(/^import .*@kubernetes/m);
  });
});
