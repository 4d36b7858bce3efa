import { describe, expect, it } from '@jest/globals';
import { parseRetryAfter } from '../../lib/kubernetes/api-status.js';
import { describeToken } from '../../lib/kubernetes/connection/in-cluster.connection.js';
import {
  type ApiAnswer,
  leaseAddress,
  RequestTimedOut,
  type Verb,
} from '../../lib/kubernetes/object-request.js';
import { decodeLease } from '../../lib/locks/kubernetes/lease-record.codec.js';
import { readOutcome, writeOutcome } from '../../lib/locks/kubernetes/lease-target.js';
import {
  alreadyExists,
  type Answer,
  badRequest,
  conflict,
  forbidden,
  invalid,
  notFound,
  statusAnswer,
} from '../../proof/api-emulator/status-body.js';

const SIGNAL = new AbortController().signal;
const LEASE = {
  kind: 'Lease',
  metadata: { name: 'plan', namespace: 'default', uid: 'u', resourceVersion: '5' },
  spec: { holderIdentity: 'a' },
};
const WHO = { namespace: 'default', name: 'plan', user: 'system:serviceaccount:default:planner' };

function contextOf(verb: Verb) {
  return {
    verb,
    address: leaseAddress('default', 'plan'),
    describeCredentials: () => 'the token in /a/file (expired 2026-01-01)',
  };
}

function response(answer: Answer | number, body: unknown = ''): ApiAnswer {
  const {
    status,
    headers = {},
    ...rest
  } = typeof answer === 'number' ? { status: answer } : answer;
  const content = 'body' in rest ? rest.body : body;
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  return { kind: 'response', status, headers: { ...headers }, body: text };
}

const write = (verb: Verb, answer: ApiAnswer) =>
  writeOutcome(contextOf(verb), answer, SIGNAL, decodeLease);

function messageOf(verb: Verb, answer: ApiAnswer): string {
  const outcome =
    verb === 'get' ? readOutcome(contextOf(verb), answer, decodeLease) : write(verb, answer);
  if (!('error' in outcome)) throw new Error(`no error but ${outcome.kind}`);
  return outcome.error.message;
}

describe('the outcome of a write', () => {
  const PROXY_404 = response(404, '<html>not here</html>');
  it.each<[string, Verb, ApiAnswer, string]>([
    ['200 with the Lease', 'update', response(200, LEASE), 'applied'],
    ['201 with the Lease', 'create', response(201, LEASE), 'applied'],
    ['409 Conflict', 'update', response(conflict('plan', 'modified')), 'conflict'],
    ['409 AlreadyExists', 'create', response(alreadyExists('plan')), 'conflict'],
    ['404 for the Lease', 'update', response(notFound('leases', 'plan')), 'absent'],
    ['404 for the namespace', 'update', response(notFound('namespaces', 'x', '')), 'not-applied'],
    ['404 for the namespace', 'create', response(notFound('namespaces', 'x', '')), 'not-applied'],
    ['404 of a proxy', 'update', PROXY_404, 'not-applied'],
    ['400', 'update', response(badRequest('cannot parse')), 'not-applied'],
    ['401', 'update', response(401), 'not-applied'],
    ['403', 'create', response(forbidden('create', WHO)), 'not-applied'],
    ['413', 'update', response(413), 'not-applied'],
    ['415', 'update', response(415), 'not-applied'],
    ['422', 'update', response(invalid('plan', 'bad')), 'not-applied'],
    ['429', 'update', response(429), 'not-applied'],
    ['200 with HTML', 'update', response(200, '<html>'), 'unknown'],
    ['200 with nothing', 'update', response(200, ''), 'unknown'],
    ['200 with another kind', 'update', response(200, { ...LEASE, kind: 'Pod' }), 'unknown'],
    ['200 with null', 'update', response(200, null), 'unknown'],
    ['202', 'update', response(202, LEASE), 'unknown'],
    ['204', 'update', response(204), 'unknown'],
    ['301', 'update', response(301), 'unknown'],
    ['307', 'create', response(307), 'unknown'],
    ['408', 'update', response(408), 'unknown'],
    ['500', 'update', response(500), 'unknown'],
    ['502', 'update', response(502, '<html>'), 'unknown'],
    ['503', 'update', response(503), 'unknown'],
    ['504', 'create', response(504), 'unknown'],
    ['nothing, unsent', 'update', { kind: 'not-sent', cause: new Error('x') }, 'not-applied'],
    ['nothing, sent', 'update', { kind: 'unanswered', cause: new Error('x') }, 'unknown'],
  ])('when the answer is %s (%s), is right', (_, verb, answer, kind) => {
    expect(write(verb, answer).kind).toBe(kind);
  });

  const DENIED = 'admission webhook "quota.acme.com" denied the request: too many';
  const ABOUT = { name: 'plan', group: 'coordination.k8s.io', kind: 'leases' };
  const OTHER_QUOTA = statusAnswer(
    409,
    'Conflict',
    'Operation cannot be fulfilled on resourcequotas "q": the object has been modified',
    { name: 'q', kind: 'resourcequotas' },
  );

  it.each<[string, Verb, ApiAnswer, string]>([
    ['of a quota that is written at the same time', 'update', response(OTHER_QUOTA), 'not-applied'],
    ['of the same when it is created', 'create', response(OTHER_QUOTA), 'not-applied'],
    [
      'of another Lease',
      'update',
      response(statusAnswer(409, 'Conflict', 'x', { ...ABOUT, name: 'other' })),
      'not-applied',
    ],
    ['of a webhook', 'update', response(statusAnswer(409, undefined, DENIED)), 'not-applied'],
    [
      'of a webhook that says Conflict',
      'update',
      response(statusAnswer(409, 'Conflict', DENIED, ABOUT)),
      'not-applied',
    ],
    [
      'of a webhook that says AlreadyExists',
      'create',
      response(statusAnswer(409, 'AlreadyExists', DENIED, ABOUT)),
      'not-applied',
    ],
    ['Conflict, to a create', 'create', response(conflict('plan', 'x')), 'not-applied'],
    ['AlreadyExists, to a replacement', 'update', response(alreadyExists('plan')), 'not-applied'],
    ['without a reason', 'update', response(statusAnswer(409, undefined, 'no')), 'not-applied'],
    ['of something in front of the server', 'update', response(409, '<html>'), 'unknown'],
  ])('when a 409 is %s, is no version conflict', (_, verb, answer, kind) => {
    const outcome = write(verb, answer);
    expect(outcome.kind).toBe(kind);
    expect(messageOf(verb, answer)).toContain('answered 409: ');
  });

  it('when a webhook answers 404, is not that of a Lease that is gone', () => {
    const denied = statusAnswer(404, 'NotFound', DENIED, ABOUT);
    expect(write('update', response(denied)).kind).toBe('not-applied');
  });

  describe.each<Verb>(['create', 'update'])('to a %s', (verb) => {
    const PROVEN = new Set([400, 401, 403, 404, 413, 415, 422, 429]);
    const statuses = Array.from({ length: 500 }, (_, index) => index + 100);
    const kindsOf = (bodyOf: (status: number) => string) =>
      statuses
        .filter((status) => write(verb, response(status, bodyOf(status))).kind === 'not-applied')
        .filter((status) => status !== 200 && status !== 201);

    it('proves that nothing was done by these statuses alone, whatever their wording', () => {
      expect(kindsOf(() => '')).toEqual([...PROVEN]);
      expect(kindsOf((status) => `<html>${status}</html>`)).toEqual([...PROVEN]);
    });

    it('proves it by a 409 as well, if it is the API server that says so', () => {
      const said = (status: number) => JSON.stringify(statusAnswer(status, undefined, 'no').body);
      expect(kindsOf(said)).toEqual([...PROVEN, 409].toSorted((a, b) => a - b));
    });
  });

  it.each([
    [403, 'rejected'],
    [429, 'rejected'],
    [500, 'unclear'],
    [302, 'unclear'],
  ])('when the status is %d, gives the reason %s', (status, reason) => {
    expect(write('update', response(status))).toMatchObject({ error: { reason } });
  });

  it('when the election abandoned the request before it was sent, is unknown', () => {
    const aborted = AbortSignal.abort();
    const answer: ApiAnswer = { kind: 'not-sent', cause: new Error('given up') };
    expect(writeOutcome(contextOf('update'), answer, aborted, decodeLease).kind).toBe('unknown');
  });
});

describe('the outcome of a read', () => {
  it.each<[string, ApiAnswer, string]>([
    ['200 with the Lease', response(200, LEASE), 'found'],
    ['404 for the Lease', response(notFound('leases', 'plan')), 'absent'],
    ['404 of a proxy', response(404, 'not found'), 'failed'],
    ['404 for the whole API', response(404, '404 page not found\n'), 'failed'],
    ['200 with HTML', response(200, '<html>'), 'failed'],
    ['403', response(forbidden('get', WHO)), 'failed'],
    ['500', response(500), 'failed'],
    ['nothing', { kind: 'unanswered', cause: new Error('x') }, 'failed'],
  ])('when the answer is %s, is right', (_, answer, kind) => {
    expect(readOutcome(contextOf('get'), answer, decodeLease).kind).toBe(kind);
  });
});

describe('the explanation of a 403', () => {
  it.each<Verb>(['get', 'update'])('when the verb is %s, gives the exact rule', (verb) => {
    expect(messageOf(verb, response(forbidden(verb, WHO)))).toContain(
      [
        'rules:',
        '  - apiGroups: ["coordination.k8s.io"]',
        '    resources: ["leases"]',
        '    resourceNames: ["plan"]',
        `    verbs: ["${verb}"]`,
      ].join('\n'),
    );
  });

  it('when the verb is create, gives a rule without resourceNames and says why', () => {
    const message = messageOf('create', response(forbidden('create', { ...WHO, name: '' })));
    expect(message).toContain('verbs: ["create"]');
    expect(message).not.toContain('resourceNames: [');
    expect(message).toContain('cannot be limited by resourceNames');
  });

  it('when the user is a service account, names it and its namespace', () => {
    const message = messageOf('update', response(forbidden('update', WHO)));
    expect(message).toContain('update Lease default/plan');
    expect(message).toContain('service account planner of namespace default may not update');
    expect(message).toContain('leases.coordination.k8s.io "plan" in namespace default');
  });

  it('when the API server may only have restarted, says so before it gives the rule', () => {
    const message = messageOf('update', response(forbidden('update', WHO)));
    expect(message).toMatch(/If the API server has just started, wait.*\. Otherwise add this rule/);
    expect(message).toContain(
      'bind that Role to the service account (the README has the whole Role',
    );
  });

  it.each([
    ['another one', 'system:serviceaccount:elsewhere:planner', true],
    ['its own', 'system:serviceaccount:default:planner', false],
  ])('when the Lease is in the namespace %s, doubts the namespace: %#', (_, user, doubts) => {
    const message = messageOf('update', response(forbidden('update', { ...WHO, user })));
    expect(message.includes('correct the option namespace or POD_NAMESPACE')).toBe(doubts);
    expect(message).toContain('verbs: ["update"]');
  });

  it('when the user is somebody else, names the user as the server does', () => {
    const message = messageOf('update', response(forbidden('update', { ...WHO, user: 'jane' })));
    expect(message).toContain('The user "jane" may not');
  });

  it('when the server recognised nobody, points at the credentials instead of a rule', () => {
    const anonymous = forbidden('update', { ...WHO, user: 'system:anonymous' });
    const message = messageOf('update', response(anonymous));
    expect(message).toContain('/a/file');
    expect(message).not.toContain('rules:');
  });

  const DENIED = 'leases.coordination.k8s.io "plan" is forbidden: ';
  const RBAC = `${DENIED}User "jane" cannot update resource "leases" in API group "coordination.k8s.io" in the namespace "default"`;
  const refusing = (message: string, verb: Verb = 'update') =>
    messageOf(verb, response(statusAnswer(403, 'Forbidden', message)));

  it.each([
    ['RBAC alone', RBAC],
    [
      'RBAC that met a dangling binding',
      `${RBAC}: RBAC: role.rbac.authorization.k8s.io "x" not found`,
    ],
    [
      'GKE, whose IAM has no such right either',
      `${RBAC}: requires one of ["container.leases.update"] permission(s).`,
    ],
    [
      'AKS, whose Azure roles have no such right either',
      `${RBAC}: User does not have access to the resource in Azure. Update role assignment to allow access.`,
    ],
  ])('when it is of %s, gives the rule', (_, message) => {
    expect(refusing(message)).toContain('verbs: ["update"]');
  });

  it.each<[string, string, RegExp]>([
    [
      'the GKE Warden',
      `${RBAC}: GKE Warden authz [denied by managed-namespaces-limitation]: the namespace "kube-system" is managed`,
      /a Role may not help/,
    ],
    [
      'Gatekeeper, in words like those of RBAC',
      'admission webhook "validation.gatekeeper.sh" denied the request: [owner] User "jane" cannot update resource "leases"',
      /comes from admission/,
    ],
    [
      'a webhook',
      'admission webhook "policy" denied the request: you cannot do this',
      /comes from admission/,
    ],
    [
      'a quota',
      `${DENIED}exceeded quota: q, requested: 1, used: 1, limited: 1`,
      /comes from admission/,
    ],
    [
      'a policy',
      `${DENIED}ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`,
      /comes from admission/,
    ],
    [
      'impersonation',
      'users "admin" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster scope',
      /"jane" may not act as another user.*verb impersonate on users/,
    ],
    [
      'impersonation of certain users',
      'users.authentication.k8s.io "admin" is forbidden: User "jane" cannot impersonate:user-info resource "users" in API group "authentication.k8s.io" at the cluster scope',
      /"jane" may not act as another user.*verb impersonate on users/,
    ],
    [
      'impersonation for certain requests',
      RBAC.replace('cannot update', 'cannot impersonate-on:user-info:update'),
      /may not act as another user.*verb impersonate on users/,
    ],
    ['another right', RBAC.replaceAll('leases', 'secrets'), /secrets/],
    ['a server that gives no reason', '', /answered 403: .*"code":403\}$/],
    ['a server with words of its own', '[acme] access denied', /access denied$/],
  ])('when it is of %s, gives no rule', (_, message, text) => {
    const explanation = refusing(message);
    expect(explanation).toMatch(text);
    expect(explanation).not.toContain('rules:');
  });

  it('when it is the page of a proxy, gives no rule and says what it is', () => {
    const explanation = messageOf('update', response(403, '<html>cannot</html>'));
    expect(explanation).toMatch(/<html>cannot<\/html>\. This is not the answer of an API server/);
    expect(explanation).not.toContain('rules:');
  });

  it('when a read is refused, does not blame admission, which sees no reads', () => {
    expect(refusing('[acme] access denied', 'get')).not.toContain('admission');
  });

  it('when the namespace is being deleted, says so', () => {
    const causes = [{ reason: 'NamespaceTerminating' }];
    const said = `${DENIED}unable to create new content in namespace default because it is being terminated`;
    const denied = statusAnswer(403, 'Forbidden', said, { causes });
    const explanation = messageOf('create', response(denied));
    expect(explanation).toContain('is being deleted');
    expect(explanation).not.toContain('admission');
  });
});

describe('the explanation', () => {
  it.each<[string, Verb, ApiAnswer, string[]]>([
    ['of a 401', 'update', response(401), ['/a/file (expired 2026-01-01)', 'audience']],
    [
      'of a missing namespace',
      'create',
      response(notFound('namespaces', 'default', '')),
      ['Create the namespace default'],
    ],
    ['of a wrong URL', 'get', response(404, '404 page not found'), ['check the server URL']],
    [
      'of a redirect',
      'get',
      { ...response(302), headers: { location: 'https://login.example/x?y' } } as ApiAnswer,
      ['https://login.example', 'not followed'],
    ],
    [
      'of a page of a proxy',
      'get',
      response(200, '<html>Sign in</html>'),
      ['not JSON', 'Sign in', 'proxies'],
    ],
    ['of a refused object', 'update', response(invalid('plan', 'spec.x: bad')), ['spec.x: bad']],
    ['of a 504', 'update', response(504), ['504', 'It is not known whether it was applied']],
  ])('%s says what to do', (_, verb, answer, parts) => {
    const message = messageOf(verb, answer);
    for (const part of parts) expect(message).toContain(part);
  });

  it('when the body is long, shows only its beginning', () => {
    expect(messageOf('get', response(500, 'x'.repeat(10_000))).length).toBeLessThan(600);
  });

  it('when a status body is nonsense, does not fail', () => {
    for (const body of ['null', '[]', '{"kind":"Status","message":7,"details":3}', '{']) {
      expect(messageOf('update', response(500, body))).toContain('500');
    }
  });

  it.each([
    ['ECONNREFUSED', 'Is the API server up'.toLowerCase()],
    ['ENOTFOUND', 'does not resolve'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'not signed by a ca that is trusted here'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'for another name'],
  ])('when the connection fails with %s, says what that means', (code, part) => {
    const cause = Object.assign(new Error('it failed'), { code });
    const message = messageOf('get', { kind: 'not-sent', cause });
    expect(message.toLowerCase()).toContain(part);
    expect(message).toContain(code);
  });

  it('when the time is over before anything was sent, says that, and not that no answer came', () => {
    const cause = new RequestTimedOut(3_000);
    const unsent = messageOf('get', { kind: 'not-sent', cause });
    expect(unsent).toBe('get Lease default/plan: nothing could be sent within 3000 ms.');
    const unanswered = messageOf('get', { kind: 'unanswered', cause });
    expect(unanswered).toBe('get Lease default/plan: no answer within 3000 ms.');
  });

  it.each<[string, ApiAnswer, string[], string[]]>([
    ['a 413 of a proxy', response(413, '<html>'), ['in front of it'], ['annotations']],
    [
      'a policy that answers 422',
      response(
        statusAnswer(422, 'Invalid', 'leases "plan" is forbidden: ValidatingAdmissionPolicy no'),
      ),
      ['comes from admission'],
      ['finds the Lease invalid'],
    ],
    [
      'a webhook that answers 429',
      response(statusAnswer(429, undefined, 'admission webhook "w" denied the request: slow')),
      ['comes from admission'],
      ['priority and fairness'],
    ],
    ['a 401, before anything is read again', response(401), ['/a/file'], ['were read again']],
    [
      'a header that is not the token',
      {
        kind: 'not-sent',
        cause: Object.assign(
          new Error('Invalid character in header content ["Impersonate-User"]'),
          { code: 'ERR_INVALID_CHAR' },
        ),
      },
      ['Impersonate-User'],
      ['The token'],
    ],
  ])('of %s does not give the advice of another case', (_, answer, wanted, unwanted) => {
    const message = messageOf('update', answer);
    for (const part of wanted) expect(message).toContain(part);
    for (const part of unwanted) expect(message).not.toContain(part);
  });

  it('of a token that is none says so', () => {
    const said = 'Invalid character in header content ["Authorization"]';
    const cause = Object.assign(new Error(said), { code: 'ERR_INVALID_CHAR' });
    expect(messageOf('get', { kind: 'not-sent', cause })).toContain('is the file really a token?');
  });

  it('when several addresses were tried, says what happened to the first', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED ::1:1'), {
      code: 'ECONNREFUSED',
    });
    const cause = new AggregateError([refused]);
    expect(messageOf('get', { kind: 'not-sent', cause })).toContain('connect ECONNREFUSED ::1:1');
  });
});

describe('Retry-After', () => {
  const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
  it.each([
    ['0', 0],
    ['7', 7_000],
    [' 7 ', 7_000],
    ['Fri, 02 Jan 2026 03:04:15 GMT', 10_000],
    ['Fri, 02 Jan 2026 03:00:00 GMT', 0],
    ['', undefined],
    ['soon', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    [undefined, undefined],
  ])('when it is %j, is %j ms', (value, ms) => {
    expect(parseRetryAfter(value, NOW)).toBe(ms);
  });

  it('when the answer has it, is in the error', () => {
    const answer = { ...response(429), headers: { 'retry-after': '5' } } as ApiAnswer;
    expect(write('update', answer)).toMatchObject({ error: { retryAfterMs: 5_000 } });
  });
});

describe('the facts of a token', () => {
  const jwt = (claims: unknown) =>
    `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.signature`;

  it('when it is a JWT, tell subject, audience and expiry and no part of it', () => {
    const token = jwt({ sub: 'system:serviceaccount:a:b', aud: ['x'], exp: 1_000_000_000 });
    const facts = describeToken(token);
    expect(facts).toBe(
      ' (subject system:serviceaccount:a:b; audience x; expired 2001-09-09T01:46:40.000Z)',
    );
  });

  it.each([undefined, '', 'static-token', 'a.b.c', jwt(null), jwt({}), jwt({ exp: 1e300 })])(
    'when it is %j, tell nothing wrong',
    (token) => {
      expect(['', ' (no readable expiry)']).toContain(describeToken(token));
    },
  );
});
