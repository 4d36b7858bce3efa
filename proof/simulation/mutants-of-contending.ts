import type { Mutant } from './mutant.js';

const CONTENDING = 'core/following.ts';
const OBSERVING = 'core/observing.ts';

/** What may be wrong with when and how the lease is taken. */
export const MUTANTS_OF_CONTENDING: readonly Mutant[] = [
  {
    name: 'takeover-from-renew-time',
    breaks: 'R5: the record’s renewTime decides on the wall clock when its lease has run out',
    patches: [
      {
        file: OBSERVING,
        from: 'const expiry = since + leaseDurationOf(record, step.config);',
        to: 'const expiry = step.now + ((record.renewTimeMicros ?? 0) - step.at.wallMicros) / 1_000 + leaseDurationOf(record, step.config);',
      },
    ],
  },
  {
    name: 'renewals-unseen',
    breaks: 'R5: the wait is not started anew at a renewal',
    patches: [
      {
        file: OBSERVING,
        from: 'timingKeyOf(known.lease) === timingKeyOf(lease);',
        to: 'known.lease?.record.holderIdentity === lease?.record.holderIdentity && timingKeyOf(lease) !== "never";',
      },
    ],
  },
  {
    name: 'own-record-is-news',
    breaks: 'R2: an own record shown again ends the pause between two attempts',
    patches: [
      {
        file: OBSERVING,
        from: 'if (isAsFree || isOwn) return;',
        to: 'if (isAsFree || (isOwn && !isOwn)) return;',
      },
      { file: OBSERVING, from: ' || isOwnAttempt', to: '' },
    ],
    traits: { faultCount: 60 },
    kinds: ['resend', 'kill'],
  },
  {
    name: 'any-death',
    breaks: 'R5: the death of an earlier holder sets free what another has taken since',
    patches: [
      {
        file: 'core/holder-death.ts',
        from: "if (step.state.observation?.lease?.timingKey === timingKey) markHolderDied(step, 'lock');",
        to: "if (timingKey !== 'none') markHolderDied(step, 'lock');",
      },
    ],
    traits: { reportsDeath: true, watches: true },
  },
  {
    name: 'own-duration',
    breaks: 'R5: waits its own lease duration and not the record’s',
    patches: [
      {
        file: OBSERVING,
        from: 'return seconds === null || !(seconds > 0) ? config.leaseDurationMs : seconds * 1_000;',
        to: 'return seconds === null || seconds !== 0 ? config.leaseDurationMs : config.leaseDurationMs;',
      },
    ],
  },
  {
    name: 'same-renew',
    breaks: 'R7: renewTime has whole seconds, and an unchanged revision counts as a renewal',
    patches: [
      {
        file: 'core/step.ts',
        from: 'const renewMicros = latestMicros + dice;',
        to: 'const renewMicros = Math.floor(Math.max(this.at.wallMicros + dice, latestMicros - 1) / 1_000_000) * 1_000_000;',
      },
      {
        file: 'core/holding.ts',
        from: 'if (!isNewer(outcome.stored.revision, request)) return pauseHolding(step);',
        to: '',
      },
    ],
  },
  {
    name: 'second-key',
    breaks: '3.7: the timing key has whole seconds',
    patches: [],
    sabotage: { coarseTimingKey: true },
  },
  {
    name: 'ghost-acquire-believed',
    breaks: '3.5: a read that shows an own acquisition of unknown outcome begins a term',
    patches: [
      {
        file: CONTENDING,
        from: '    knownAtStart: request.baseRevision,\n  });\n',
        to: `    knownAtStart: request.baseRevision,
  });
  if (step.state.writeUnresolved && outcome.kind === 'found' && isOwnRecord(step, outcome.stored.record) && contendFrom(step) <= step.now) {
    step.state.writeUnresolved = false;
    step.state.mustRead = false;
    return beginTenure(step, request, outcome.stored);
  }
`,
      },
    ],
  },
  {
    name: 'undrained-ignored',
    breaks: 'R10: a new term begins beside the work of the last one',
    patches: [{ file: CONTENDING, from: 'if (undrainedTerm !== null) return Infinity;', to: '' }],
  },
  {
    name: 'no-settling',
    breaks: 'R13: strict mode takes a missing or emptied lease at once',
    patches: [
      {
        file: CONTENDING,
        from: 'return Math.max(step.config.leaseDurationMs, formerMs);',
        to: 'return 0 * formerMs;',
      },
    ],
    traits: { strict: true, lawless: true },
  },
  {
    name: 'any-release-is-clean',
    breaks: 'R13: any empty holder counts as a clean release',
    patches: [
      {
        file: 'core/lease-record.ts',
        from: 'if (record.releasedTransitions === record.leaseTransitions) return true;',
        to: 'return true;',
      },
    ],
    traits: { strict: true, lawless: true },
  },
  {
    name: 'same-transitions',
    breaks: 'R12: an acquisition does not count a transition',
    patches: [
      {
        file: 'core/lease-record.ts',
        from: 'return transitions >= MAX_INT32 ? 1 : transitions + 1;',
        to: 'return transitions >= MAX_INT32 ? 1 : Math.max(1, transitions);',
      },
    ],
  },
  {
    name: 'watch-unordered',
    breaks: 'R14: old watch events are adopted',
    patches: [
      {
        file: OBSERVING,
        from: "if (source.from !== 'read' && known !== null && revision <= known.revision) return;",
        to: '',
      },
    ],
  },
  {
    name: 'identity-is-proof',
    breaks: 'R8: whatever names this identity is its own',
    patches: [
      {
        file: OBSERVING,
        from: '    bearsOwnAcquisition(step, record) &&\n    record.renewTimeMicros !== null &&\n    lastAcquisition.renewTimesMicros.includes(record.renewTimeMicros)',
        to: '    lastAcquisition.term >= 0',
      },
    ],
    traits: { sharedIdentity: true },
  },
  {
    name: 'no-uid',
    breaks:
      'R6: writes carry no uid, so that a late release makes a deleted lease again, marked as clean',
    patches: [],
    sabotage: { omitsUid: true },
    traits: { strict: true, lawless: true, watches: false, faultCount: 120, allKinds: true },
    kinds: ['delete', 'duplicate', 'ghost', 'step-down'],
  },
  {
    name: 'altered-grants',
    breaks: 'an acquisition that something has altered begins a term',
    patches: [
      {
        file: CONTENDING,
        from: "if (step.wasAltered(request, outcome.stored)) return attemptFailed(step, request, 'altered');",
        to: 'step.wasAltered(request, outcome.stored);',
      },
    ],
    traits: { altersWrites: true, faultCount: 80, allKinds: true },
    kinds: ['webhook', 'kill', 'drop-responses', 'step-down'],
  },
  {
    name: 'withdrawn-granted',
    breaks:
      'R12: an acquisition that is answered after the process has ceased to stand begins a term',
    patches: [
      {
        file: CONTENDING,
        from: 'if (!stillOurs || !inTime || contendFrom(step) > step.now) {',
        to: 'if (!stillOurs || !inTime) {',
      },
    ],
    traits: { faultCount: 150, allKinds: true, slowServer: 0.5 },
    kinds: ['suspend', 'kill', 'slow'],
    foundBy: 'event-alternation',
  },
  {
    name: 'cool-down-forgotten',
    breaks: 'a process that has given its term up stands again at once',
    patches: [
      {
        file: 'core/election-machine.ts',
        from: 'Math.max(step.state.contendNotBefore, step.now + cooldownMs);',
        to: 'Math.max(step.state.contendNotBefore, step.now + 0 * cooldownMs);',
      },
    ],
    kinds: ['step-down'],
  },
  {
    name: 'orphan-marked-clean',
    breaks: 'R13: the release of a lease that was acquired too late promises that nobody believes',
    patches: [
      {
        file: CONTENDING,
        from: 'wasGranted: step.state.lastGrantedTerm === lease.record.leaseTransitions,',
        to: 'wasGranted: true,',
      },
    ],
    foundBy: 'release-after-drain',
  },
  {
    name: 'orphan-undrained',
    breaks: 'R10: a lease of a former term is given back though its work still runs',
    patches: [
      {
        file: CONTENDING,
        from: 'if (undrainedTerm !== null) return null;',
        to: '',
      },
    ],
  },
  {
    name: 'zero-duration',
    breaks: 'R17: a record that promises no time is taken at once',
    patches: [
      {
        file: OBSERVING,
        from: 'return seconds === null || !(seconds > 0) ?',
        to: 'return seconds === null ?',
      },
    ],
  },
  {
    name: 'renew-time-goes-back',
    breaks: 'R7: the renew time goes back where the wall clock does',
    patches: [
      {
        file: 'core/step.ts',
        from: 'Math.max(Math.floor(this.at.wallMicros), this.state.lastRenewMicros + 1)',
        to: 'Math.floor(this.at.wallMicros)',
      },
    ],
    foundBy: 'renew-time-grows',
  },
  {
    name: 'coordinator-overruled',
    breaks: 'R17: a lease with a strategy is taken like any other',
    patches: [
      {
        file: OBSERVING,
        from: 'coordination === undefined ? 0 : config.leaseDurationMs',
        to: 'coordination === undefined ? 0 : 0 * config.leaseDurationMs',
      },
    ],
    traits: { coordinated: true },
    foundBy: 'coordinator-first',
  },
  {
    name: 'named-overrules-coordinator',
    breaks: 'R17: the member that a release names leaves nothing to a coordinator',
    patches: [
      {
        file: OBSERVING,
        from: 'if (isNamed(step, lease.record)) return since + coordinatorMs;',
        to: 'if (isNamed(step, lease.record)) return since + 0 * coordinatorMs;',
      },
    ],
    traits: { coordinated: true, directs: true, ending: 'stop' },
    foundBy: 'coordinator-first',
  },
  {
    name: 'coordinator-waited-for',
    breaks: 'R17: a lease with a strategy that nothing coordinates stays without a holder',
    patches: [
      {
        file: OBSERVING,
        from: 'coordination === undefined ? 0 : config.leaseDurationMs',
        to: 'coordination === undefined ? 0 : 100 * config.leaseDurationMs',
      },
    ],
    traits: { coordinated: true },
    foundBy: 'one-leader-after-healing',
  },
];
