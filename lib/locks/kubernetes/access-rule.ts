import type { ObjectAddress } from './object-address.js';

export type Verb = 'get' | 'create' | 'update' | 'watch';

/**
 * The rule to add to a Role so that one verb on one object is allowed, as YAML. An API server that has just started
 * refuses what its Roles grant, until it has loaded them.
 */
export function describeMissingRule(verb: Verb, address: ObjectAddress, subject: string): string {
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
    `If the API server has just started, wait for it to load its Roles. Otherwise add this rule${note} to a Role in ` +
    `namespace ${address.namespace}, and bind that Role to the ${subject} (the README has the whole Role, under Permissions):\n` +
    `rules:\n${rule}`
  );
}
