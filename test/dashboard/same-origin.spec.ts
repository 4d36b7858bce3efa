import { foreignAction, foreignReader } from '../../lib/dashboard/same-origin.js';

const HOST = 'leader.example:8080';
/** As the page of the dashboard sends it, in a browser that says where a request comes from. */
const OWN = {
  host: HOST,
  'content-type': 'application/json',
  'x-leader-dashboard': '1',
  'sec-fetch-site': 'same-origin',
};
const OLD = { ...OWN, 'sec-fetch-site': undefined, origin: `http://${HOST}` };

describe('when a request asks for an action', () => {
  it.each([
    ['of the page itself', OWN],
    ['of the page, with a charset', { ...OWN, 'content-type': 'Application/JSON; charset=utf-8' }],
    ['of the page in an older browser', OLD],
    ['of the page behind a proxy with TLS', { ...OLD, origin: `https://${HOST}` }],
    ['of the page on another port of the address', { ...OLD, host: 'a', origin: 'http://a' }],
    ['by HTTP/2', { ...OLD, host: undefined, ':authority': HOST }],
  ])('is one %s', (_what, headers) => {
    expect(foreignAction(headers)).toBeUndefined();
  });

  it.each([
    ['by a form', { ...OWN, 'content-type': 'text/plain' }, 'Content-Type'],
    [
      'by a form with a body that looks like JSON',
      { ...OWN, 'content-type': 'application/x-www-form-urlencoded' },
      'Content-Type',
    ],
    ['without a content type', { ...OWN, 'content-type': undefined }, 'Content-Type'],
    [
      'without the header of the page',
      { ...OWN, 'x-leader-dashboard': undefined },
      'x-leader-dashboard',
    ],
    ['by another site', { ...OWN, 'sec-fetch-site': 'cross-site' }, 'cross-site'],
    ['by a neighbour of the site', { ...OWN, 'sec-fetch-site': 'same-site' }, 'same-site'],
    [
      'by the user alone, as an address that was typed',
      { ...OWN, 'sec-fetch-site': 'none' },
      'none',
    ],
    [
      'by two who say where they come from',
      { ...OWN, 'sec-fetch-site': 'same-origin, cross-site' },
      'cross-site',
    ],
    [
      'by another site that names its origin too',
      { ...OWN, 'sec-fetch-site': 'cross-site', origin: `http://${HOST}` },
      'cross-site',
    ],
    ['by another origin', { ...OLD, origin: 'http://evil.example' }, 'evil.example is not'],
    ['by another port', { ...OLD, origin: 'http://leader.example:9' }, 'is not'],
    ['by a sandbox', { ...OLD, origin: 'null' }, 'null is not'],
    ['by what says no origin', { ...OLD, origin: undefined }, 'neither'],
    ['to no host', { ...OLD, host: undefined }, 'is not'],
    [
      'by another origin, with a host that a proxy is said to have seen',
      { ...OLD, origin: 'http://evil.example', 'x-forwarded-host': 'evil.example' },
      'evil.example is not',
    ],
  ])('is refused %s', (_what, headers, why) => {
    expect(foreignAction(headers)).toContain(why);
  });
});

describe('when a request asks for data', () => {
  it.each([undefined, 'same-origin', 'none'])('is answered if it comes from %s', (site) => {
    expect(foreignReader({ 'sec-fetch-site': site })).toBeUndefined();
  });
});
