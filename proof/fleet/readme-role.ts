import { existsSync, readFileSync } from 'node:fs';
import { loadYaml } from '@kubernetes/client-node';
import type { PolicyRule } from '../control-plane/access-control.js';

/** The rules of the Role that the README tells people to apply: what is tested is what is documented. */
export function readmeRole(): { readonly leaseName: string; readonly rules: PolicyRule[] } {
  const readme = readFileSync(readmeAbove(import.meta.url), 'utf8');
  const block = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)]
    .map(([, text]) => text!)
    .find((text) => /^kind: Role$/m.test(text));
  if (block === undefined) throw new Error('the README has no yaml block with a Role');
  const document = block.split(/^---$/m).find((text) => /^kind: Role$/m.test(text))!;
  const { rules } = loadYaml<{ rules: PolicyRule[] }>(document);
  const leaseName = rules.flatMap(({ resourceNames }) => resourceNames ?? [])[0];
  if (leaseName === undefined) throw new Error('the README’s Role names no lease');
  return { leaseName, rules };
}

/** Of a replica that also knows the pods, for `members` and `podWatch`, on leases of any name. */
export const RULES_WITH_PODS: readonly PolicyRule[] = [
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs: ['get', 'create', 'update', 'watch'],
  },
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
];

/** The project's, from its sources as well as from a compiled copy of them further down. */
function readmeAbove(url: string): URL {
  const parent = new URL('..', url);
  if (parent.href === url) throw new Error('no README.md above this program');
  const readme = new URL('README.md', parent);
  return existsSync(readme) ? readme : readmeAbove(parent.href);
}
