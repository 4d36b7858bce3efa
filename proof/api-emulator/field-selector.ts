import type { ObjectKind, StoredObject } from './object-kind.js';
import { type Answer, badRequest } from './status-body.js';

export interface FieldSelector {
  readonly matches: (object: StoredObject) => boolean;
  /** The one object it names, if it names one: what RBAC compares with `resourceNames`. */
  readonly name: string | undefined;
  /** What the server says of a field it does not know. */
  readonly fault: Answer | undefined;
}

export function fieldSelector(kind: ObjectKind, text: string): FieldSelector {
  const terms = text
    .split(',')
    .filter((term) => term !== '')
    .map((term) => /^([^!=]+)(!=|==?)(.*)$/.exec(term) ?? ['', term, '=', '']);
  const unknown = terms.find(([, field = '']) => !(field in kind.selectable));
  const named = terms.find(([, field, how]) => field === 'metadata.name' && how !== '!=');
  return {
    matches: (object) =>
      terms.every(([, field = '', how, value]) => {
        const actual = kind.selectable[field]?.(object) ?? '';
        return (actual === value) === (how !== '!=');
      }),
    name: named?.[3],
    fault: unknown && badRequest(kind.unknownSelector(unknown[1] ?? '')),
  };
}
