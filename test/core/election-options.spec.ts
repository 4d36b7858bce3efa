import { describe, expect, it } from '@jest/globals';
import { resolveElectionOptions } from '../../lib/core/election-options.js';
import { LeaderElectionOptionsError } from '../../lib/core/errors.js';

const VALID = { role: 'plan-scheduler' };

function faultsOf(options: unknown): readonly { field: string; rule: string; fix: string }[] {
  try {
    resolveElectionOptions(options, 'host_1');
  } catch (error) {
    if (error instanceof LeaderElectionOptionsError) return error.faults;
    throw error;
  }
  return [];
}

describe('when only the role is given', () => {
  it('fills in the documented defaults', () => {
    expect(resolveElectionOptions(VALID, 'host_1')).toEqual({
      role: 'plan-scheduler',
      leaseName: 'plan-scheduler',
      namespace: undefined,
      identity: 'host_1',
      leaseDurationMs: 15_000,
      renewDeadlineMs: 10_000,
      retryPeriodMs: 2_000,
      requestTimeoutMs: 3_000,
      drainTimeoutMs: 20_000,
      releaseOnShutdown: true,
      strict: false,
      ineligibleGraceMs: 5_000,
      events: false,
    });
  });

  it('treats an explicit undefined as absent', () => {
    const options = { ...VALID, leaseDurationMs: undefined, identity: undefined };
    expect(resolveElectionOptions(options, 'host_1')).toEqual(
      resolveElectionOptions(VALID, 'host_1'),
    );
  });
});

describe('when only the lease duration is given', () => {
  it.each([2_000, 3_000, 5_000, 15_000, 60_000, 3_600_000])(
    'derives times for %d ms that survive two lost requests',
    (leaseDurationMs) => {
      const { renewDeadlineMs, retryPeriodMs, requestTimeoutMs } = resolveElectionOptions(
        { ...VALID, leaseDurationMs },
        'host_1',
      );
      expect(retryPeriodMs + 2 * (requestTimeoutMs + 250)).toBeLessThanOrEqual(renewDeadlineMs);
      expect(renewDeadlineMs).toBeLessThanOrEqual(0.8 * leaseDurationMs);
    },
  );
});

describe('when a profile is given', () => {
  const timesOf = (options: object) => {
    const resolved = resolveElectionOptions({ ...VALID, ...options }, 'host_1');
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs, requestTimeoutMs } = resolved;
    expect(retryPeriodMs + 2 * (requestTimeoutMs + 250)).toBeLessThanOrEqual(renewDeadlineMs);
    return [leaseDurationMs, renewDeadlineMs, retryPeriodMs];
  };

  it.each<[object, number[]]>([
    [{ profile: 'fast' }, [5_000, 3_333, 600]],
    [{ profile: 'default' }, [15_000, 10_000, 2_000]],
    [{ profile: 'quiet' }, [60_000, 40_000, 20_000]],
    [{ profile: 'quiet', retryPeriodMs: 5_000 }, [60_000, 40_000, 5_000]],
    [{ profile: 'quiet', leaseDurationMs: 30_000 }, [30_000, 20_000, 10_000]],
    [{ profile: 'fast', leaseDurationMs: 30_000 }, [30_000, 20_000, 600]],
  ])('takes from it, with room for two lost requests, what %j leaves open', (options, times) => {
    expect(timesOf(options)).toEqual(times);
  });
});

describe('when an option is wrong', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['role missing', { role: undefined }, 'role'],
    ['role empty', { role: '' }, 'role'],
    ['role blank', { role: '  ' }, 'role'],
    ['role padded', { role: ' a' }, 'role'],
    ['role a number', { role: 7 }, 'role'],
    ['role with a control character', { role: 'a\nb' }, 'role'],
    ['role that breaks the line', { role: 'a\u2028b', leaseName: 'a' }, 'role'],
    ['identity with half a character', { identity: 'a\ud800' }, 'identity'],
    ['application that is too long', { application: 'x'.repeat(254) }, 'application'],
    ['profile unknown', { profile: 'slow' }, 'profile'],
    ['role no lease name', { role: 'Plan Scheduler' }, 'leaseName'],
    ['leaseName in capitals', { leaseName: 'Plan' }, 'leaseName'],
    ['leaseName with an underscore', { leaseName: 'a_b' }, 'leaseName'],
    ['leaseName ending in a dash', { leaseName: 'a-' }, 'leaseName'],
    ['leaseName too long', { leaseName: 'a'.repeat(254) }, 'leaseName'],
    ['leaseName empty', { leaseName: '' }, 'leaseName'],
    ['leaseName null', { leaseName: null }, 'leaseName'],
    ['namespace with a dot', { namespace: 'a.b' }, 'namespace'],
    ['namespace too long', { namespace: 'a'.repeat(64) }, 'namespace'],
    ['identity empty', { identity: '' }, 'identity'],
    ['identity an object', { identity: {} }, 'identity'],
    ...[
      'leaseDurationMs',
      'renewDeadlineMs',
      'retryPeriodMs',
      'requestTimeoutMs',
      'drainTimeoutMs',
    ].flatMap((field): [string, Record<string, unknown>, string][] => [
      [`${field} a string`, { [field]: '15s' }, field],
      [`${field} negative`, { [field]: -1 }, field],
      [`${field} a fraction`, { [field]: 2_000.5 }, field],
      [`${field} NaN`, { [field]: Number.NaN }, field],
      [`${field} infinite`, { [field]: Number.POSITIVE_INFINITY }, field],
      [`${field} null`, { [field]: null }, field],
      [`${field} longer than a timer`, { [field]: 2 ** 31 }, field],
    ]),
    ['leaseDurationMs zero', { leaseDurationMs: 0 }, 'leaseDurationMs'],
    ['leaseDurationMs below two seconds', { leaseDurationMs: 1_000 }, 'leaseDurationMs'],
    ['leaseDurationMs no whole seconds', { leaseDurationMs: 15_500 }, 'leaseDurationMs'],
    ['renewDeadlineMs zero', { renewDeadlineMs: 0 }, 'renewDeadlineMs'],
    ['renewDeadlineMs above 0.8 of the lease', { renewDeadlineMs: 12_001 }, 'renewDeadlineMs'],
    ['retryPeriodMs zero', { retryPeriodMs: 0 }, 'retryPeriodMs'],
    ['retryPeriodMs above the deadline', { retryPeriodMs: 11_000 }, 'retryPeriodMs'],
    ['requestTimeoutMs above the deadline', { requestTimeoutMs: 10_000 }, 'requestTimeoutMs'],
    ['releaseOnShutdown a string', { releaseOnShutdown: 'yes' }, 'releaseOnShutdown'],
    ['strict a number', { strict: 1 }, 'strict'],
    ['an unknown option', { leaseDuration: 15 }, 'leaseDuration'],
  ])('names the field, the value, the rule and a fix: %s', (_name, change, field) => {
    const faults = faultsOf({ ...VALID, ...change });
    expect(faults.map((fault) => fault.field)).toEqual([field]);
    // The lease name of the one row that gives none comes from the role.
    expect(faults[0]).toHaveProperty('value', field in change ? change[field] : change['role']);
    expect(faults[0]!.rule).not.toBe('');
    expect(faults[0]!.fix).not.toBe('');
  });

  it.each([[null], [undefined], ['role'], [[]], [7]])('refuses %j in place of options', (raw) => {
    expect(faultsOf(raw).map(({ field }) => field)).toContain('options');
  });

  it('reports all faults at once', () => {
    const faults = faultsOf({ role: '', leaseDurationMs: 0, retryPeriodMs: 1.5, strict: 'no' });
    expect(faults.map(({ field }) => field)).toEqual([
      'role',
      'leaseDurationMs',
      'retryPeriodMs',
      'strict',
    ]);
  });

  it('says the numbers that do not fit together', () => {
    expect(() => resolveElectionOptions({ ...VALID, requestTimeoutMs: 8_000 }, 'host_1')).toThrow(
      /retryPeriodMs \(2000\) \+ requestTimeoutMs \(8000\) \+ 250 = 10250 .* \(10000\)/,
    );
  });
});
