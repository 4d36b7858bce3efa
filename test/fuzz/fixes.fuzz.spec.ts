import { describe, expect, it } from '@jest/globals';
import { ELECTION_OPTION_NAMES, resolveElectionOptions } from '../../lib/core/election-options.js';
import { LeaderElectionOptionsError, type OptionFault } from '../../lib/core/errors.js';
import { RandomJson } from './random-json.js';

const OBJECTS = Number(process.env['FUZZ_ROUNDS'] ?? 5_000);
const SEED = 20_261_125;
const PROFILES = ['fast', 'default', 'quiet'];
const NAMES = ['1ca428e5.', '.a', 'a..b', '-', 'Ü', 'Plan Scheduler', 'a_b-', '-.-', '..'];

function faultsOf(options: Record<string, unknown>): readonly OptionFault[] {
  try {
    resolveElectionOptions(options, 'host_1');
    return [];
  } catch (error) {
    if (error instanceof LeaderElectionOptionsError) return error.faults;
    throw error;
  }
}

/** Does what a fault says, word by word; the last of its proposals where there are several. */
function obey(options: Record<string, unknown>, { field, fix }: OptionFault): void {
  const example = /for example ("(?:[^"\\]|\\.)*")/.exec(fix)?.[1];
  const raised = [...fix.matchAll(/(\w+Ms) to (\d+)/g)];
  const both = /^lower both, for example to (\d+)/.exec(fix)?.[1];
  const use = /^use (?:at (?:most|least) )?(\S+?)[,.]?(?: |$)/.exec(fix)?.[1];
  if (example !== undefined) options[field] = JSON.parse(example);
  else if (both !== undefined)
    options['retryPeriodMs'] = options['requestTimeoutMs'] = Number(both);
  else if (raised.length > 0) for (const [, name, ms] of raised) options[name!] = Number(ms);
  else if (fix.startsWith('remove it')) delete options[field];
  else if (/^remove (?:them|the lone surrogates)/.test(fix)) options[field] = 'plan-scheduler';
  else if (fix === 'shorten it') options[field] = String(options[field]).slice(0, 50).trim();
  else if (/kubectl get namespaces/.test(fix)) options[field] = 'default';
  else if (use === 'true' || use === 'false') options[field] = use === 'true';
  else if (use !== undefined && /^(?:\d+|"\w+")$/.test(use)) options[field] = JSON.parse(use);
  else throw new Error(`no idea how to follow: ${field}: ${fix}`);
}

function text(random: RandomJson): string {
  return random.chance(0.3)
    ? NAMES[random.below(NAMES.length)]!
    : random.text().repeat(1 + random.below(90));
}

function randomOptions(random: RandomJson): Record<string, unknown> {
  const options: Record<string, unknown> = { role: random.chance(0.5) ? text(random) : 'plans' };
  for (const field of ELECTION_OPTION_NAMES) {
    if (!random.chance(0.4)) continue;
    if (random.chance(0.2)) options[field] = random.value();
    else if (field.endsWith('Ms'))
      options[field] = random.below(random.chance(0.5) ? 5_000 : 2 ** 31);
    else if (field === 'strict' || field === 'releaseOnShutdown') options[field] = true;
    else if (field === 'profile' && random.chance(0.7)) options[field] = PROFILES[random.below(3)];
    else options[field] = text(random);
  }
  return options;
}

describe(`when the fixes of ${OBJECTS} random option objects are followed (seed ${SEED})`, () => {
  it('leads to options that are accepted', () => {
    const random = new RandomJson(SEED);
    let followed = 0;
    for (let object = 0; object < OBJECTS; object += 1) {
      const options = randomOptions(random);
      const before = JSON.stringify(options);
      for (let round = 0, faults = faultsOf(options); faults.length > 0; round += 1) {
        if (round === 8) throw new Error(`${before}: still ${JSON.stringify(faults)}`);
        for (const fault of faults) obey(options, fault);
        followed += faults.length;
        faults = faultsOf(options);
      }
    }
    expect(followed).toBeGreaterThan(OBJECTS / 5);
  });

  it.each(NAMES)('proposes another name than %j', (leaseName) => {
    const [fault] = faultsOf({ role: 'plans', leaseName });
    expect(fault?.field).toBe('leaseName');
    const options: Record<string, unknown> = { role: 'plans', leaseName };
    obey(options, fault!);
    expect(options['leaseName']).not.toBe(leaseName);
    expect(faultsOf(options)).toEqual([]);
  });
});
