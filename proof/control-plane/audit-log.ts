import type { ApiObject } from './api-client.js';

export interface AuditEntry {
  user: string;
  verb: string;
  resource: string;
  subresource?: string;
  namespace: string;
  name?: string;
  code: number;
  /** RFC 3339 with six fraction digits: microseconds, which a Date would drop. */
  requestReceivedTimestamp: string;
  stageTimestamp: string;
  userAgent: string;
  requestURI: string;
  /** Of writes to leases, where the control plane was started with `auditsBodies`. */
  requestObject?: ApiObject;
  responseObject?: ApiObject;
}

interface AuditEvent {
  requestObject?: ApiObject;
  responseObject?: ApiObject;
  stage: string;
  verb: string;
  user: { username?: string };
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string };
  responseStatus?: { code?: number };
  requestReceivedTimestamp: string;
  stageTimestamp: string;
  userAgent?: string;
  requestURI: string;
}

const LEASES = { group: 'coordination.k8s.io', resources: ['leases'] };

/** Counts what an election asks for; the server's own leases would only be noise. */
export function auditPolicy(withBodies: boolean): object {
  const writes = { resources: [LEASES], verbs: ['create', 'update', 'patch', 'delete'] };
  return {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [
      { level: 'None', users: ['system:apiserver'] },
      ...(withBodies ? [{ level: 'RequestResponse', ...writes }] : []),
      {
        level: 'Metadata',
        resources: [LEASES, { group: '', resources: ['configmaps', 'pods', 'pods/status'] }],
      },
      { level: 'None' },
    ],
  };
}

export function parseAuditLog(text: string): AuditEntry[] {
  // What follows the last line feed is a line still being written.
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter(isAnswer)
    .map(toEntry);
}

/** A watch is answered when it starts, and so is a request that fails authentication. */
function isAnswer(event: AuditEvent): boolean {
  const isAnsweredAtStart = event.verb === 'watch' || event.responseStatus?.code === 401;
  return event.stage === (isAnsweredAtStart ? 'ResponseStarted' : 'ResponseComplete');
}

function toEntry(event: AuditEvent): AuditEntry {
  const { resource = '', subresource, namespace = '', name } = event.objectRef ?? {};
  return {
    user: event.user.username ?? '',
    verb: event.verb,
    resource,
    ...(subresource !== undefined && { subresource }),
    namespace,
    ...(name !== undefined && { name }),
    code: event.responseStatus?.code ?? 0,
    requestReceivedTimestamp: event.requestReceivedTimestamp,
    stageTimestamp: event.stageTimestamp,
    userAgent: event.userAgent ?? '',
    requestURI: event.requestURI,
    ...(event.requestObject !== undefined && { requestObject: event.requestObject }),
    ...(event.responseObject !== undefined && { responseObject: event.responseObject }),
  };
}
