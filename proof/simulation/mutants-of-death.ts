import type { Mutant } from './mutant.js';

const DEATH = 'core/holder-death.ts';
const OBSERVING = 'core/observing.ts';
const TRAITS = {
  watchesPods: true,
  clones: false,
  lawless: false,
  restores: false,
  sleeps: false,
  altersWrites: false,
  faultCount: 40,
};

/** What may be wrong with what counts as proof of the holder's death (R24). */
export const MUTANTS_OF_DEATH: readonly Mutant[] = [
  {
    name: 'any-container-of-the-pod',
    breaks: 'R24: the end of another container of the pod is taken for that of the holder',
    patches: [
      {
        file: DEATH,
        from: 'return end.podUid === podUid && end.containerId === containerId;',
        to: 'return end.podUid === podUid && end.containerId !== podUid;',
      },
    ],
    traits: TRAITS,
    kinds: ['kill', 'wrong-proof', 'step-down'],
    foundBy: 'foreign-lease-respected',
  },
  {
    name: 'any-pod-of-the-container',
    breaks: 'R24: the uid of the pod is not compared',
    patches: [
      {
        file: DEATH,
        from: 'return end.podUid === podUid && end.containerId === containerId;',
        to: 'return end.podUid !== containerId && end.containerId === containerId;',
      },
    ],
    traits: TRAITS,
    kinds: ['wrong-proof', 'step-down'],
    foundBy: 'foreign-lease-respected',
  },
  {
    name: 'renewed-since',
    breaks: 'R24: an end is proof against a holder that has renewed since',
    patches: [
      {
        file: DEATH,
        from: 'end.finishedAtMicros + FINISHED_AT_RESOLUTION_MICROS >= renewTimeMicros,',
        to: 'end.finishedAtMicros + FINISHED_AT_RESOLUTION_MICROS >= 0 * renewTimeMicros,',
      },
    ],
    traits: TRAITS,
    kinds: ['kill', 'wrong-proof', 'step-down'],
    foundBy: 'foreign-lease-respected',
  },
  {
    name: 'death-outlives-record',
    breaks: 'R24: the record of the next holder counts as that of the dead',
    patches: [
      {
        file: OBSERVING,
        from: "const deathShownBy = shownBy === 'lock' ? shownBy : ended;",
        to: "const deathShownBy = shownBy === 'lock' ? shownBy : (known?.deathShownBy ?? ended);",
      },
    ],
    traits: TRAITS,
    kinds: ['kill', 'step-down'],
    foundBy: 'foreign-lease-respected',
  },
  {
    name: 'container-inherited',
    breaks: 'R24: an acquisition keeps the name of the former holder’s container',
    patches: [
      {
        file: 'core/following.ts',
        from: "const record = recordFor('hold', { term, ...times, crowd, gaveUp, answer }, step.config);",
        to: "const record = recordFor('hold', { term, ...times, crowd, gaveUp, answer, container: lease?.record.container ?? null }, step.config);",
      },
    ],
    traits: { ...TRAITS, reportsDeath: false },
    kinds: ['kill', 'step-down'],
    foundBy: 'foreign-lease-respected',
  },
  {
    name: 'container-of-any-acquisition',
    breaks: 'R24: the mark of a former holder, which others have kept, counts for the present one',
    patches: [
      {
        file: 'core/lease-record.ts',
        from: 'return isOfAcquisition(container, record) ? container : undefined;',
        to: 'return container;',
      },
    ],
    traits: TRAITS,
    kinds: ['kill', 'stranger', 'wall-drift'],
    foundBy: 'foreign-lease-respected',
  },
  {
    name: 'proof-unheard',
    breaks: 'R24: a proof that comes after the record does not count',
    patches: [
      {
        file: DEATH,
        from: "markHolderDied(step, 'container');",
        to: "if (step.now < 0) markHolderDied(step, 'container');",
      },
    ],
    traits: { ...TRAITS, ending: 'crash', strict: false },
    kinds: ['step-down'],
    foundBy: 'takeover-by-proof',
  },
  {
    name: 'ghost-revives',
    breaks: 'R24: a renewal that the dead had sent makes its lease one to be waited out',
    patches: [
      {
        file: OBSERVING,
        from: "const deathShownBy = shownBy === 'lock' ? shownBy : ended;",
        to: "const deathShownBy = shownBy === 'lock' ? shownBy : sameLease || known === null ? ended : null;",
      },
    ],
    // So slow that the leader often has a renewal under way when it is killed.
    traits: { ...TRAITS, ending: 'crash', strict: false, slowServer: 0.3 },
    kinds: ['step-down'],
    foundBy: 'takeover-by-proof',
  },
];
