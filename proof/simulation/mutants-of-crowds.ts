import type { Mutant } from './mutant.js';

const CROWD = 'core/crowd.ts';
const SUCCESSION = 'core/succession.ts';
const RECORD = 'core/lease-record.ts';

/** What this library did before a record told of the crowd: the figures of `npm run simulate:crowd` stand beside it. */
export const BEFORE_CROWDS: Mutant = {
  name: 'before-crowds',
  breaks: 'R22: one window for any number of candidates',
  patches: [
    {
      file: CROWD,
      from: 'Math.max(SHORTEST_WINDOW_MS, (candidates * stepMs) / 2)',
      to: 'SHORTEST_WINDOW_MS + 0 * candidates * stepMs',
    },
    { file: CROWD, from: 'CREATION_WINDOW_MS = 250;', to: 'CREATION_WINDOW_MS = 10;' },
  ],
};

/** What may be wrong with a release that names its successor. */
export const MUTANTS_OF_CROWDS: readonly Mutant[] = [
  {
    name: 'named-holds-back',
    breaks: 'R23: the named one waits like all others',
    patches: [
      {
        file: SUCCESSION,
        from: 'return memberUid !== undefined && successorOf(record) === memberUid;',
        to: 'return memberUid !== undefined && successorOf(record) === `not ${memberUid}`;',
      },
      { file: SUCCESSION, from: ' || successor === step.config.memberUid', to: '' },
    ],
    traits: { directs: true, watches: true, ending: 'stop' },
    foundBy: 'named-first',
  },
  {
    name: 'no-grace',
    breaks: 'R23: nobody holds back for the named one',
    patches: [
      {
        file: SUCCESSION,
        from: 'Math.max(SHORTEST_GRACE_MS, 2 * stepMs)',
        to: 'SHORTEST_GRACE_MS * 0 * stepMs',
      },
    ],
    traits: { directs: true },
    foundBy: 'grace-respected',
  },
  {
    name: 'grace-without-end',
    breaks: 'R23: all others hold back for a minute',
    patches: [
      {
        file: SUCCESSION,
        from: 'Math.min(retryPeriodMs, Math.max(SHORTEST_GRACE_MS, 2 * stepMs))',
        to: 'Math.max(60_000 + retryPeriodMs, SHORTEST_GRACE_MS, 2 * stepMs)',
      },
    ],
    traits: { directs: true, ending: 'stop' },
    foundBy: 'grace-ends',
  },
  {
    name: 'let-go-first',
    breaks: 'R23: the one that let go waits no longer than the others',
    patches: [{ file: SUCCESSION, from: 'LET_GO_MS = 2_000;', to: 'LET_GO_MS = 0;' }],
    traits: { directs: true, faultCount: 80 },
    kinds: ['step-down', 'kill', 'suspend'],
    foundBy: 'grace-respected',
  },
  {
    name: 'named-in-vain-forgotten',
    breaks: 'R23: who was named and did not come is named again',
    patches: [
      {
        file: SUCCESSION,
        from: 'return namedInVain.includes(successorUid) ? null : successorUid;',
        to: 'return namedInVain.includes(successorUid) ? successorUid : successorUid;',
      },
    ],
    traits: { directs: true, faultCount: 80 },
    kinds: ['step-down', 'kill'],
    foundBy: 'vain-name-repeated',
  },
  {
    name: 'stale-name-honoured',
    breaks: 'R23: a name counts in whatever term it was written',
    patches: [
      {
        file: RECORD,
        from: 'return isReleased && successor?.transitions === leaseTransitions ? successor.uid : undefined;',
        to: 'return isReleased ? successor?.uid : undefined;',
      },
    ],
    traits: { directs: true, faultCount: 80 },
    kinds: ['step-down', 'stranger', 'kill'],
    foundBy: 'stale-name-ignored',
  },
  {
    name: 'named-unclean',
    breaks: 'R23: what was never granted is given back to somebody by name',
    patches: [
      {
        file: RECORD,
        from: 'const names = isRelease && successorUid != null;',
        to: "const names = purpose !== 'hold' && successorUid != null;",
      },
    ],
    traits: { directs: true, strict: true, faultCount: 80 },
    foundBy: 'name-on-release-only',
  },
  {
    name: 'named-before-it-ends',
    breaks: 'R23: renewals name the successor too',
    patches: [
      {
        file: RECORD,
        from: 'const names = isRelease && successorUid != null;',
        to: 'const names = successorUid != null;',
      },
      {
        file: 'core/holding.ts',
        from: '{ term, acquireTimeMicros, renewTimeMicros, crowd, container, gaveUp, answer },',
        to: '{ term, acquireTimeMicros, renewTimeMicros, crowd, container, gaveUp, answer, successorUid: chosenSuccessor(step) },',
      },
    ],
    traits: { directs: true },
    foundBy: 'name-on-release-only',
  },
  {
    name: 'named-cools-down-not',
    breaks: 'R23: the named one acquires though it cools down',
    patches: [
      {
        file: 'core/following.ts',
        from: "return candidacy === 'contending' ? contendNotBefore : Infinity;",
        to: `const isNamed = step.state.observation?.lease?.record.successor?.uid === step.config.memberUid;
  return candidacy === 'contending' ? (isNamed ? -Infinity : contendNotBefore) : Infinity;`,
      },
      {
        file: 'core/following.ts',
        from: 'if (!stillOurs || !inTime || contendFrom(step) > step.now) {',
        to: 'if (!stillOurs || !inTime) {',
      },
    ],
    traits: { directs: true, faultCount: 80 },
    kinds: ['step-down'],
    foundBy: 'event-alternation',
  },
];
