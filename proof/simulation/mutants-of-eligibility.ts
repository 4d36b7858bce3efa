import type { Mutant } from './mutant.js';

const ELIGIBILITY = 'core/eligibility.ts';
const TRAITS = { losesHealth: true, faultCount: 60, sleeps: false, clones: false, restores: false };

/** What may be wrong with who leaves the lease to others (R25). */
export const MUTANTS_OF_ELIGIBILITY: readonly Mutant[] = [
  {
    name: 'hands-over-again',
    breaks: 'R25: an ineligible leader hands over as often as another looks fit',
    patches: [
      {
        file: ELIGIBILITY,
        from: '!mayHandOver || hasHandedOver',
        to: '!mayHandOver || (hasHandedOver && isEligible)',
      },
    ],
    traits: TRAITS,
    kinds: ['ineligible', 'kill'],
    foundBy: 'one-handover-an-episode',
  },
  {
    name: 'hands-over-to-nobody',
    breaks: 'R25: an ineligible leader hands over though no other is known to be fit',
    patches: [
      { file: ELIGIBILITY, from: '|| !mayHandOver ||', to: '|| (!mayHandOver && isEligible) ||' },
    ],
    traits: TRAITS,
    kinds: ['ineligible', 'kill'],
    foundBy: 'handover-to-fit',
  },
  {
    name: 'no-eligibility-grace',
    breaks: 'R25: what lasts for a moment counts',
    patches: [
      {
        file: ELIGIBILITY,
        from: 'return eligibility.since + config.ineligibleGraceMs;',
        to: 'return eligibility.since + 0 * config.ineligibleGraceMs;',
      },
    ],
    traits: TRAITS,
    kinds: ['ineligible', 'kill'],
    foundBy: 'handover-after-grace',
  },
  {
    name: 'ineligible-leads-on',
    breaks: 'R25: an ineligible leader keeps the lease from those that are fit',
    patches: [
      {
        file: ELIGIBILITY,
        from: "return candidacy === 'contending' &&",
        to: "return candidacy === 'idle' &&",
      },
    ],
    traits: TRAITS,
    kinds: ['ineligible', 'kill'],
    foundBy: 'ineligible-lets-go',
  },
  {
    name: 'ineligible-competes',
    breaks: 'R25: an ineligible process takes a free lease before those that are fit',
    patches: [
      {
        file: ELIGIBILITY,
        from: 'return isEligible ? claimable : claimable + step.config.leaseDurationMs;',
        to: 'return isEligible ? claimable : claimable + 0 * step.config.leaseDurationMs;',
      },
    ],
    traits: TRAITS,
    kinds: ['ineligible', 'kill', 'step-down'],
    foundBy: 'ineligible-waits',
  },
  {
    name: 'let-go-is-first',
    breaks: 'R25: who let go takes the lease again before the others',
    patches: [
      {
        file: ELIGIBILITY,
        from: 'return Math.max(claimable, observation.since + graceMs(step) + LET_GO_MS);',
        to: 'return Math.max(claimable, observation.since + 0 * (graceMs(step) + LET_GO_MS));',
      },
    ],
    traits: TRAITS,
    kinds: ['ineligible', 'suspend'],
    foundBy: 'ineligible-waits',
  },
  {
    name: 'let-go-taken-back',
    breaks:
      'R25: who was to hand over takes the lease back when its work has ended too late for a release',
    patches: [
      {
        file: 'core/following.ts',
        from: 'if (contendFrom(step) <= step.now && !wasLetGo(step, lease.record)) return null;',
        to: 'if (contendFrom(step) <= step.now) return null;',
      },
    ],
    traits: TRAITS,
    kinds: ['ineligible', 'suspend'],
    foundBy: 'ineligible-lets-go',
  },
];
