import type { ObjectAddress } from './object-address.js';

export type Verb = 'get' | 'create' | 'update' | 'watch';

/** The rule to add to a Role so that one verb on one object is allowed, as YAML. */
export function describeMissingRule(verb: Verb, address: ObjectAddress): string {
  const rule = [
    `  - apiGroups: ["${address.apiGroup}"]`,
    `    resources: ["${address.resource}"]`,
    ...(verb === 'create' ? [] : [`    resourceNames: ["${address.name}"]`]),
    `    verbs: ["${verb}"]`,
  ].join('\n');
  const note =
    verb === 'create'
      ? ' ("create" cannot be limited by resourceNames: the name is not known when it is authorised)'
      : '';
  return (
    `Add this rule${note} to a Role in namespace ${address.namespace}, and bind that Role to the user:\n` +
    `rules:\n${rule}`
  );
}
