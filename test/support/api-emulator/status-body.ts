/** An answer of the emulator before it goes out. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export function statusAnswer(
  status: number,
  reason: string,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): Answer {
  return {
    status,
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      details,
      code: status,
    },
  };
}

export const ok = (body: unknown): Answer => ({ status: 200, body });
export const created = (body: unknown): Answer => ({ status: 201, body });

export function notFound(resource: string, name: string, group = 'coordination.k8s.io'): Answer {
  const qualified = group === '' ? resource : `${resource}.${group}`;
  return statusAnswer(404, 'NotFound', `${qualified} "${name}" not found`, {
    name,
    ...(group !== '' && { group }),
    kind: resource,
  });
}

export function conflict(name: string, why: string): Answer {
  return statusAnswer(
    409,
    'Conflict',
    `Operation cannot be fulfilled on leases.coordination.k8s.io "${name}": ${why}`,
    { name, group: 'coordination.k8s.io', kind: 'leases' },
  );
}

export function alreadyExists(name: string): Answer {
  return statusAnswer(409, 'AlreadyExists', `leases.coordination.k8s.io "${name}" already exists`, {
    name,
    group: 'coordination.k8s.io',
    kind: 'leases',
  });
}

export function invalid(name: string, why: string): Answer {
  return statusAnswer(422, 'Invalid', `Lease.coordination.k8s.io "${name}" is invalid: ${why}`, {
    name,
    group: 'coordination.k8s.io',
    kind: 'Lease',
  });
}

export function badRequest(why: string): Answer {
  return statusAnswer(400, 'BadRequest', why);
}

/** Worded as the API server words an RBAC refusal. */
export function forbidden(
  verb: string,
  { namespace, name, user }: { namespace: string; name: string; user: string },
): Answer {
  const named = name === '' ? '' : `"${name}" `;
  return statusAnswer(
    403,
    'Forbidden',
    `leases.coordination.k8s.io ${named}is forbidden: User "${user}" cannot ${verb} resource "leases" ` +
      `in API group "coordination.k8s.io" in the namespace "${namespace}"`,
    { name, group: 'coordination.k8s.io', kind: 'leases' },
  );
}
