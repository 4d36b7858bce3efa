import { describe, expect, it } from '@jest/globals';
import { resolveElectionOptions } from '../../lib/core/election-options.js';
import { leaderAddressOf } from '../../lib/core/leader-address.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import { formatAddress, parseAddress } from '../../lib/locks/record-text.js';
import { heldBy, MachineRun } from '../support/machine-run.js';

const optionsWith = (address: unknown) => resolveElectionOptions({ role: 'role', address }, 'me');

describe('when a process says where it answers requests', () => {
  it.each([
    'http://10.1.2.3:3000',
    'https://plans-0.plans.shop.svc.cluster.local',
    'http://[fd00::7]:8080',
    'http://localhost:3000',
    'http://plans:65535',
  ])('accepts %s', (address) => {
    expect(optionsWith(address).address).toBe(address);
  });

  it.each([
    ['no URL', 'plans'],
    ['no host', 'http://:3000'],
    ['another scheme', 'javascript://plans'],
    ['a slash at the end', 'http://plans/'],
    ['a path', 'http://plans/api'],
    ['a query', 'http://plans?a'],
    ['a fragment', 'http://plans#a'],
    ['a user', 'http://plans@evil.example'],
    ['a backslash', 'http://plans\\evil.example'],
    ['a line break', 'http://plans\r\nSet-Cookie:a'],
    ['a line break at the end', 'http://plans\n'],
    ['a space', 'http://plans evil.example'],
    ['other letters', 'http://plän'],
    ['a number out of range', 'http://10.0.0.300:3000'],
    ['five numbers', 'http://1.2.3.4.5'],
    ['no address of IPv6', 'http://[::::]'],
    ['port 0', 'http://plans:0'],
    ['a port out of range', 'http://plans:65536'],
    ['a variable that is not set', `http://${String(undefined)}:3000`],
    ['every address of IPv4', 'http://0.0.0.0:3000'],
    ['every address of IPv6', 'http://[::]:3000'],
    ['nothing', ''],
    ['a number', 3000],
    ['an object', { port: 3000 }],
  ])('refuses %s, and says what to use', (_, address) => {
    expect(() => optionsWith(address)).toThrow(/address .*\. Fix: .*http:\/\/10\.1\.2\.3:3000/s);
  });

  it('writes it with each record that holds the lease, and with no release', () => {
    const run = new MachineRun({ address: 'http://a:1' }).start().reads(null);
    expect(leaderAddressOf(run.written)).toBe('http://a:1');
    run.applied(10).at(2_000).wake();
    expect(run.purposes.at(-1)).toBe('renew');
    expect(leaderAddressOf(run.written)).toBe('http://a:1');
    run.applied(11).withdraw('stepped-down').say({ kind: 'drained', term: 1 });
    expect(run.purposes.at(-1)).toBe('release');
    expect(run.written.address).toBeUndefined();
  });
});

describe('when a record says where a holder answers requests', () => {
  const mark = { url: 'http://a:1', holderIdentity: 'a', transitions: 4, acquireTimeMicros: 1 };
  const record = (change: Partial<LeaseRecord>) => heldBy('a', { address: mark, ...change });

  it('believes it of the holder that wrote it', () => {
    expect(leaderAddressOf(record({}))).toBe('http://a:1');
    expect(leaderAddressOf(record({ renewTimeMicros: 9 }))).toBe('http://a:1');
  });

  it.each<[string, Partial<LeaseRecord>]>([
    ['another holder', { holderIdentity: 'client-go' }],
    ['no holder', { holderIdentity: '', address: { ...mark, holderIdentity: '' } }],
    ['another term', { leaseTransitions: 5 }],
    ['another acquisition', { acquireTimeMicros: 2 }],
    ['a place that is no address', { address: { ...mark, url: 'http://u:p@evil.example' } }],
    ['nowhere', { address: undefined }],
  ])('does not believe it of %s', (_, change) => {
    expect(leaderAddressOf(record(change))).toBeUndefined();
  });

  it.each([
    '',
    'http://a:1',
    'a/4/http://a:1',
    'a/4/then/http://a:1',
    'a/4/2026-01-02T03:04:05.678901Z/ftp://a',
    'a/4/2026-01-02T03:04:05.678901Z/http://a/b',
    7,
    null,
  ])('reads none from %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it('is read as it was written, also with slashes in the identity', () => {
    const address = { ...mark, holderIdentity: 'a/4/b', acquireTimeMicros: 1_767_323_045_678_901 };
    const text = formatAddress({ address });
    expect(text).toBe('a/4/b/4/2026-01-02T03:04:05.678901Z/http://a:1');
    expect(parseAddress(text)).toEqual(address);
  });
});
