import { type KindNames, qualified } from './kind-names.js';

/** An answer of the emulator before it goes out. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const LEASES: KindNames = { kind: 'Lease', resource: 'leases', group: 'coordination.k8s.io' };

const CAUSES: Readonly<Record<string, string>> = {
  'Invalid value': 'FieldValueInvalid',
  'Required value': 'FieldValueRequired',
  Forbidden: 'FieldValueForbidden',
  'Too long': 'FieldValueTooLong',
};

export function statusAnswer(
  status: number,
  reason: string | undefined,
  message: string,
  details?: Readonly<Record<string, unknown>>,
): Answer {
  return {
    status,
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason !== undefined && { reason }),
      ...(details !== undefined && { details }),
      code: status,
    },
  };
}

export const ok = (body: unknown): Answer => ({ status: 200, body });
export const created = (body: unknown): Answer => ({ status: 201, body });

export function notFound(resource: string, name: string, group = LEASES.group): Answer {
  return statusAnswer(
    404,
    'NotFound',
    `${qualified(resource, group)} "${name}" not found`,
    detailsOf(name, group, resource),
  );
}

export function conflict(name: string, why: string, { resource, group } = LEASES): Answer {
  return statusAnswer(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource, group)} "${name}": ${why}`,
    detailsOf(name, group, resource),
  );
}

export function alreadyExists(name: string, { resource, group } = LEASES): Answer {
  return statusAnswer(
    409,
    'AlreadyExists',
    `${qualified(resource, group)} "${name}" already exists`,
    detailsOf(name, group, resource),
  );
}

/** `why` is the field and what is wrong with it, as in `spec.x: Required value`. */
export function invalid(name: string, why: string, names = LEASES): Answer {
  return invalidAs(names.kind, name, why, names.group);
}

/** The server calls an object by its resource in the one refusal that comes before validation. */
export function withoutVersion(name: string, { resource, group }: KindNames): Answer {
  const why = 'metadata.resourceVersion: Invalid value: 0: must be specified for an update';
  return invalidAs(resource, name, why, group);
}

function invalidAs(word: string, name: string, why: string, group: string): Answer {
  const end = why.indexOf(': ');
  const [field, message] = [why.slice(0, end), why.slice(end + 2)];
  const reason = CAUSES[message.split(':')[0] ?? ''];
  return statusAnswer(422, 'Invalid', `${qualified(word, group)} "${name}" is invalid: ${why}`, {
    ...detailsOf(name, group, word),
    ...(reason !== undefined && { causes: [{ reason, message, field }] }),
  });
}

export function badRequest(why: string): Answer {
  return statusAnswer(400, 'BadRequest', why);
}

/** Worded as the API server words an RBAC refusal. */
export function forbidden(
  verb: string,
  who: { namespace: string; name: string; user: string; subresource?: string | undefined },
  { resource, group }: KindNames = LEASES,
): Answer {
  const { namespace, name, user, subresource } = who;
  const named = name === '' ? '' : `"${name}" `;
  const asked = subresource === undefined ? resource : `${resource}/${subresource}`;
  return statusAnswer(
    403,
    'Forbidden',
    `${qualified(resource, group)} ${named}is forbidden: User "${user}" cannot ${verb} resource "${asked}" ` +
      `in API group "${group}" in the namespace "${namespace}"`,
    detailsOf(name, group, resource),
  );
}

function detailsOf(name: string, group: string, kind: string): Record<string, unknown> {
  return { ...(name !== '' && { name }), ...(group !== '' && { group }), kind };
}
