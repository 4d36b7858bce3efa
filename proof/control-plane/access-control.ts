import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from './api-client.js';
import { issuedSecret } from './printed-secrets.js';

export interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
  resourceNames?: string[];
}

const RBAC = 'rbac.authorization.k8s.io';
const EFFECT_LIMIT_MS = 10_000;

/** Namespaces, service accounts, their tokens and their rights. */
export class AccessControl {
  constructor(private readonly api: ApiClient) {}

  async createNamespace(name: string): Promise<void> {
    await this.api.demand('POST', '/api/v1/namespaces', { metadata: { name } });
  }

  async createServiceAccount(namespace: string, name: string): Promise<void> {
    await this.api.demand('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, {
      metadata: { name },
    });
  }

  async createToken(namespace: string, name: string, expirationSeconds: number): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const answer = await this.api.demand('POST', path, { spec: { expirationSeconds } });
    return issuedSecret((answer.status as { token: string }).token);
  }

  /**
   * Gives a service account exactly these rights in its namespace, in place of what an earlier
   * call gave it, and returns when they are in force.
   */
  async applyRole(
    namespace: string,
    serviceAccount: string,
    rules: readonly PolicyRule[],
  ): Promise<void> {
    // The authorizer follows Roles by watch. Once it grants this rule, which only this version of
    // the Role has, it has also dropped what the version before it granted.
    const marker = `applied-${randomUUID()}`;
    const proof = { apiGroups: ['control-plane.test'], resources: [marker], verbs: ['get'] };
    const metadata = { name: serviceAccount };
    await this.put(namespace, 'roles', { metadata, rules: [...rules, proof] });
    await this.put(namespace, 'rolebindings', {
      metadata,
      roleRef: { apiGroup: RBAC, kind: 'Role', name: serviceAccount },
      subjects: [{ kind: 'ServiceAccount', name: serviceAccount, namespace }],
    });
    await this.untilGranted(namespace, serviceAccount, marker);
  }

  private async put(
    namespace: string,
    resource: string,
    object: { metadata: { name: string }; [field: string]: unknown },
  ): Promise<void> {
    const collection = `/apis/${RBAC}/v1/namespaces/${namespace}/${resource}`;
    const existing = `${collection}/${object.metadata.name}`;
    const { status } = await this.api.request('GET', existing);
    if (status === 200) await this.api.demand('PUT', existing, object);
    else await this.api.demand('POST', collection, object);
  }

  private async untilGranted(
    namespace: string,
    serviceAccount: string,
    marker: string,
  ): Promise<void> {
    const review = {
      spec: {
        user: `system:serviceaccount:${namespace}:${serviceAccount}`,
        resourceAttributes: {
          namespace,
          group: 'control-plane.test',
          resource: marker,
          verb: 'get',
        },
      },
    };
    const deadline = performance.now() + EFFECT_LIMIT_MS;
    while (performance.now() < deadline) {
      const answer = await this.api.demand(
        'POST',
        '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        review,
      );
      if ((answer.status as { allowed: boolean }).allowed) return;
      await delay(20);
    }
    throw new Error(
      `the Role of ${namespace}/${serviceAccount} has no effect after ${EFFECT_LIMIT_MS} ms`,
    );
  }
}
