import type { PolicyRule } from '../control-plane/access-control.js';
import type { KindNames } from './kind-names.js';
import { type Answer, forbidden, statusAnswer } from './status-body.js';

export interface Grant {
  readonly user: string;
  readonly namespace: string;
  readonly rules: readonly PolicyRule[];
}

export interface AccessRequest {
  readonly token: string | undefined;
  readonly verb: string;
  readonly kind: KindNames;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string | undefined;
}

/** Who has which rights, as by RBAC. While nothing is granted to anybody, everybody may do everything. */
export class AccessGrants {
  private readonly grants = new Map<string, Grant>();

  /** Gives a token exactly these rights, in place of those it had. */
  allow(token: string, grant: Grant): void {
    this.grants.set(token, grant);
  }

  refusal({ token, verb, kind, ...asked }: AccessRequest): Answer | undefined {
    if (this.grants.size === 0) return undefined;
    const grant = token === undefined ? ANONYMOUS : this.grants.get(token);
    if (grant === undefined) return unauthorized();
    const { user, namespace, rules } = grant;
    const isAllowed =
      namespace === asked.namespace && rules.some((rule) => permits(rule, verb, kind, asked));
    return isAllowed ? undefined : forbidden(verb, { ...asked, user }, kind);
  }
}

export function unauthorized(): Answer {
  return statusAnswer(401, 'Unauthorized', 'Unauthorized');
}

const ANONYMOUS: Grant = { user: 'system:anonymous', namespace: '', rules: [] };

function permits(
  { apiGroups, resources, verbs, resourceNames = [] }: PolicyRule,
  verb: string,
  { resource, group }: KindNames,
  { name, subresource }: Pick<AccessRequest, 'name' | 'subresource'>,
): boolean {
  const asked = subresource === undefined ? resource : `${resource}/${subresource}`;
  const includes = (list: string[], value: string) => list.includes('*') || list.includes(value);
  return (
    includes(apiGroups, group) &&
    includes(resources, asked) &&
    includes(verbs, verb) &&
    (resourceNames.length === 0 || resourceNames.includes(name))
  );
}
