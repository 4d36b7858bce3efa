import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { demandedMinor, KUBERNETES_MINORS } from './go-build.js';

const { KUBERNETES_MINOR } = process.env;

afterEach(() => {
  if (KUBERNETES_MINOR === undefined) delete process.env['KUBERNETES_MINOR'];
  else process.env['KUBERNETES_MINOR'] = KUBERNETES_MINOR;
});

describe('when KUBERNETES_MINOR chooses what the end-to-end tests run on', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['1.36', '1.36'],
  ])('takes %p for %p', (given, demanded) => {
    if (given === undefined) delete process.env['KUBERNETES_MINOR'];
    else process.env['KUBERNETES_MINOR'] = given;
    expect(demandedMinor()).toBe(demanded);
  });

  it.each(['1.12', 'v1.36', '1.36.3', 'newest'])('refuses %s, and names the choice', (given) => {
    process.env['KUBERNETES_MINOR'] = given;
    expect(demandedMinor).toThrow(
      `KUBERNETES_MINOR is ${given}; use one of 1.37, 1.36, 1.35, or unset it`,
    );
  });

  it.each(KUBERNETES_MINORS)('has a module for %s whose parts are all of one version', (minor) => {
    const goMod = `proof/control-plane/kubernetes-${minor}/go.mod`;
    expect(existsSync(goMod)).toBe(true);
    const text = readFileSync(goMod, 'utf8');
    const patch = new RegExp(`k8s.io/kubernetes v${minor}\\.(\\d+)`).exec(text)?.[1];
    const replaced = [...text.matchAll(/^\tk8s\.io\/\S+ => \S+ v(\S+)$/gm)].map(([, v]) => v);
    expect(new Set(replaced)).toEqual(new Set([`0.${minor.split('.')[1]}.${patch}`]));
  });
});
