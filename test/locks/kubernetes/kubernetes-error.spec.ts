import { describe, it, expect } from '@jest/globals';
import type { Verb } from '../../../lib/locks/kubernetes/access-rule.js';
import { readOutcome, writeOutcome } from '../../../lib/locks/kubernetes/api-outcome.js';
import type { ApiAnswer } from '../../../lib/locks/kubernetes/kubernetes-transport.js';
import { leaseAddress } from '../../../lib/locks/kubernetes/object-address.js';
import { parseRetryAfter } from '../../../lib/locks/kubernetes/retry-after.js';
import { describeToken } from '../../../lib/locks/kubernetes/token-facts.js';
import {
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  invalid,
  notFound,
  statusAnswer,
  type Answer,
} from '../../support/api-emulator/status-body.js';

const SIGNAL = new AbortController().signal;
const LEASE = {
  kind: 'Lease',
  metadata: { name: 'plan', namespace: 'default', uid: 'u', resourceVersion: '5' },
  spec: { holderIdentity: 'a' },
};
const WHO = { namespace: 'default', name: 'plan', user: 'system:serviceaccount:default:planner' };

function asked(verb: Verb) {
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

const write = (verb: Verb, answer: ApiAnswer) => writeOutcome(asked(verb), answer, SIGNAL);

function messageOf(verb: Verb, answer: ApiAnswer): string {
  const outcome = verb === 'get' ? readOutcome(asked(verb), answer) : write(verb, answer);
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

  it.each([
    [403, 'rejected'],
    [429, 'rejected'],
    [500, 'unclear'],
    [302, 'unclear'],
  ])('when the status is %d, gives the reason %s', (status, reason) => {
    expect(write('update', response(status))).toMatchObject({ error: { reason } });
  });

  it('when the election gave the request up before it was sent, is unknown', () => {
    const aborted = AbortSignal.abort();
    const answer: ApiAnswer = { kind: 'not-sent', cause: new Error('given up') };
    expect(writeOutcome(asked('update'), answer, aborted).kind).toBe('unknown');
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
    expect(readOutcome(asked('get'), answer).kind).toBe(kind);
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

  it('when admission says no, does not blame missing rights', () => {
    const denied = statusAnswer(403, 'Forbidden', 'admission webhook "policy" denied the request');
    const message = messageOf('update', response(denied));
    expect(message).toContain('admission webhook "policy" denied');
    expect(message).not.toContain('rules:');
  });

  it('when the namespace is being deleted, says so', () => {
    const causes = [{ reason: 'NamespaceTerminating' }];
    const denied = statusAnswer(403, 'Forbidden', 'cannot create', { causes });
    expect(messageOf('create', response(denied))).toContain('is being deleted');
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
    ['of a 504', 'update', response(504), ['504', 'Whether it was applied is not known']],
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
    ['SELF_SIGNED_CERT_IN_CHAIN', 'not signed by the configured ca'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'for another name'],
  ])('when the connection fails with %s, says what that means', (code, part) => {
    const cause = Object.assign(new Error('it failed'), { code });
    const message = messageOf('get', { kind: 'not-sent', cause });
    expect(message.toLowerCase()).toContain(part);
    expect(message).toContain(code);
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
