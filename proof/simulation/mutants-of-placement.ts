import type { Mutant } from './mutant.js';

const RESTING = 'core/resting.ts';
const PLACEMENT = 'nest/role-placement.ts';
const TRAITS = {
  directs: true,
  clones: false,
  restores: false,
  sleeps: false,
  lawless: false,
  sharedIdentity: false,
  faultCount: 80,
} as const;
const RESTS = { ...TRAITS, places: 'newest', losesHealth: true } as const;
const SPREADS = { ...TRAITS, places: 'spread' } as const;

const REQUESTS = 'core/leader-request.ts';
const ASKED = { ...TRAITS, directs: false, asks: true } as const;

/** What may be wrong with whom a release names, and when a leader hands over for that. */
export const MUTANTS_OF_PLACEMENT: readonly Mutant[] = [
  {
    name: 'request-of-any-term',
    breaks: 'R27: a request that was written for another term counts',
    patches: [
      {
        file: REQUESTS,
        from: 'request?.transitions === leaseTransitions && request.holderIdentity',
        to: 'request?.holderIdentity',
      },
      {
        file: REQUESTS,
        from: 'request === undefined || request.transitions !== tenure.term',
        to: 'request === undefined',
      },
    ],
    traits: ASKED,
    kinds: ['ask', 'step-down'],
    foundBy: 'request-of-its-term',
  },
  {
    name: 'request-to-any-holder',
    breaks: 'R27: a request that was written for another holder counts',
    patches: [
      {
        file: REQUESTS,
        from: '&& request.holderIdentity === holderIdentity;',
        to: '&& request.holderIdentity !== undefined;',
      },
    ],
    traits: ASKED,
    kinds: ['ask', 'step-down'],
    foundBy: 'request-of-its-term',
  },
  {
    name: 'request-heard-again',
    breaks: 'R27: a request is honoured each time that it is seen',
    patches: [
      {
        file: REQUESTS,
        from: 'if (heardRequests.includes(nameOf(request))) return false;',
        to: "if (request.id === '') return false;",
      },
    ],
    traits: ASKED,
    kinds: ['ask', 'churn', 'step-down'],
    foundBy: 'request-once',
  },
  {
    name: 'request-unanswered',
    breaks: 'R27: a holder writes over a request to it without an answer',
    patches: [
      {
        file: REQUESTS,
        from: 'const known = state.answer?.transitions === term',
        to: 'const known = state.answer?.transitions === -term',
      },
    ],
    traits: ASKED,
    kinds: ['ask', 'step-down'],
    foundBy: 'request-answered',
  },
  {
    name: 'rest-unwritten',
    breaks: 'R25: a release does not say that its member has given up',
    patches: [
      {
        file: RESTING,
        from: 'if (own?.transitions === term) {',
        to: 'if (own?.transitions === -term) {',
      },
    ],
    traits: RESTS,
    kinds: ['ineligible', 'fail-handler', 'step-down'],
    foundBy: 'rest-respected',
  },
  {
    name: 'rest-unread',
    breaks: 'R25: a process does not hear who has given up',
    patches: [
      {
        file: RESTING,
        from: 'if (mark === undefined) return;',
        to: 'if (mark?.count !== 0) return;',
      },
    ],
    traits: RESTS,
    kinds: ['ineligible', 'fail-handler', 'step-down'],
    foundBy: 'rest-respected',
  },
  {
    name: 'rest-not-written-on',
    breaks: 'R25: the next holder takes the mark off, so that who polls does not hear of it',
    patches: [
      {
        file: RESTING,
        from: 'return kept !== undefined && isOfTermOrBefore(kept, term) ? kept : undefined;',
        to: 'return kept !== undefined && kept.transitions === term ? kept : undefined;',
      },
    ],
    traits: { ...RESTS, watches: false },
    kinds: ['ineligible', 'fail-handler', 'step-down'],
    foundBy: 'rest-respected',
  },
  {
    name: 'rest-taken-back',
    breaks: 'R25: what a renewal said that was under way counts for more than the giving up since',
    patches: [
      {
        file: RESTING,
        from: 'if (known !== undefined && isOfTermOrBefore(mark, known.transitions)) return;',
        to: 'if (known?.transitions === mark.transitions) return;',
      },
    ],
    traits: { ...RESTS, slowServer: 0.3 },
    kinds: ['ineligible', 'fail-handler', 'step-down'],
    foundBy: 'rest-respected',
  },
  {
    name: 'rest-of-one-cool-down',
    breaks: 'R25: who has given up is a target again after a cool-down',
    patches: [
      { file: RESTING, from: 'FIRST_REST_COOLDOWNS = 10;', to: 'FIRST_REST_COOLDOWNS = 1;' },
    ],
    traits: RESTS,
    kinds: ['ineligible', 'fail-handler', 'step-down'],
    foundBy: 'rest-respected',
  },
  {
    name: 'resting-named',
    breaks: 'R25: a release names a member that rests',
    patches: [
      {
        file: PLACEMENT,
        from: 'return new Set([...namedInVain, ...this.resting.map(({ uid }) => uid)]);',
        to: 'return new Set(namedInVain);',
      },
    ],
    traits: RESTS,
    kinds: ['ineligible', 'fail-handler', 'step-down'],
    foundBy: 'rest-respected',
  },
  {
    name: 'newest-moves',
    breaks: "R26: 'newest' is a reason to hand over",
    patches: [
      {
        file: PLACEMENT,
        from: "if (placement !== 'spread' || ",
        to: "if (placement === 'any' || ",
      },
    ],
    traits: { ...TRAITS, places: 'newest' },
    kinds: ['kill', 'step-down'],
    foundBy: 'move-is-due',
  },
  {
    name: 'spread-does-not-wait',
    breaks: 'R26: a leader hands over by a list that has just changed',
    patches: [{ file: PLACEMENT, from: 'const STABLE_MS = 5_000;', to: 'const STABLE_MS = 0;' }],
    traits: SPREADS,
    kinds: ['kill', 'step-down'],
    foundBy: 'move-is-due',
  },
  {
    name: 'spread-without-cool-down',
    breaks: 'R26: a leader hands a role over as often as its list says so',
    patches: [
      {
        file: PLACEMENT,
        from: 'movedAt + placementCooldownMs',
        to: 'movedAt + 0 * placementCooldownMs',
      },
    ],
    traits: SPREADS,
    kinds: ['kill', 'step-down'],
    foundBy: 'move-is-due',
  },
  {
    name: 'spread-to-and-fro',
    breaks: 'R26: who was handed a role hands it on at once',
    patches: [
      {
        file: PLACEMENT,
        from: 'const movedAt = Math.max(this.movedAt, this.receivedAt(members));',
        to: 'const movedAt = Math.max(this.movedAt, 0 * this.receivedAt(members) || -Infinity);',
      },
    ],
    traits: SPREADS,
    kinds: ['kill', 'step-down'],
    foundBy: 'move-is-due',
  },
];
