import type { SourcePatch } from '../mutants/mutant-build.js';
import type { Mutant } from './mutant.js';
import type { Durations } from './option-draw.js';

const HOLDING = 'core/holding.ts';
const RECORD = 'core/lease-record.ts';

/** Little room between renew deadline and lease duration, and much between two renewals. */
const TIGHT: Durations = {
  leaseDurationMs: 5_000,
  renewDeadlineMs: 4_000,
  retryPeriodMs: 1_000,
  requestTimeoutMs: 2_700,
};

/** One lost renewal, and the next one is sent just before the end of validity. */
const SLOW_RENEWAL: Durations = {
  leaseDurationMs: 5_000,
  renewDeadlineMs: 4_000,
  retryPeriodMs: 2_000,
  requestTimeoutMs: 1_500,
};

/** Validity may end long before the lease does. */
const EARLY_DEADLINE: Durations = {
  leaseDurationMs: 20_000,
  renewDeadlineMs: 5_000,
  retryPeriodMs: 1_000,
  requestTimeoutMs: 500,
};

/** The stages after the end of a term go on with its validity, and renewals prolong it. */
const KEPT_VALIDITY: readonly SourcePatch[] = [
  {
    file: HOLDING,
    from: 'return { uid, term, ...times, mustReadBack, container };',
    to: 'return { ...tenure };',
  },
  {
    file: HOLDING,
    from: 'if (believes(tenure)) {\n    const validUntil',
    to: 'if (tenure.term > 0) {\n    const validUntil',
  },
];

/** What may be wrong with how a term is held, ended and released. */
export const MUTANTS_OF_HOLDING: readonly Mutant[] = [
  {
    name: 'anchor-end',
    breaks: 'R4: validity counts from the answer to a renewal',
    patches: [
      {
        file: HOLDING,
        from: 'return extend(step, tenure, request.startedAt, tenure.sentRenewMicros);',
        to: 'return extend(step, tenure, step.at, tenure.sentRenewMicros);',
      },
    ],
    traits: { durations: TIGHT, clockError: 0.11, faultCount: 40 },
    kinds: ['slow', 'hold-responses', 'drop-requests', 'drop-responses'],
  },
  {
    name: 'late-success',
    breaks: 'R4: validity counts from the answer to an acquisition, however late',
    patches: [
      { file: HOLDING, from: '    anchor: startedAt,', to: '    anchor: step.at,' },
      {
        file: HOLDING,
        from: 'validUntil: startedAt.now + step.config.renewDeadlineMs,',
        to: 'validUntil: step.now + step.config.renewDeadlineMs,',
      },
      {
        file: 'core/following.ts',
        from: 'if (!stillOurs || !inTime || contendFrom(step) > step.now) {',
        to: 'if (!stillOurs || (!inTime && inTime) || contendFrom(step) > step.now) {',
      },
    ],
    traits: { faultCount: 60 },
    kinds: ['pause', 'block', 'slow', 'kill', 'drop-requests'],
  },
  {
    name: 'resurrect',
    breaks:
      'R4: an answer is looked at before the clock; safe for exclusion, but the term has a hole',
    patches: [
      {
        file: 'core/election-machine.ts',
        from: '  expireTenure(step);\n  // 2. What happened.',
        to: '  // 2. What happened.',
      },
    ],
    traits: { durations: SLOW_RENEWAL, faultCount: 80, allKinds: true },
    kinds: ['late-timers', 'slow'],
  },
  {
    name: 'flag',
    breaks: 'R3: leadership is a flag and not a question to the clock',
    patches: [
      {
        file: 'core/election-machine.ts',
        from: "tenure?.stage === 'leading' && now < tenure.validUntil",
        to: "tenure?.stage === 'leading' && now > 0",
      },
    ],
  },
  {
    name: 'release-first',
    breaks: 'R10: leads on until the release is answered',
    patches: [
      ...KEPT_VALIDITY,
      {
        file: 'core/election-machine.ts',
        from: "tenure?.stage === 'leading' && now < tenure.validUntil",
        to: "tenure !== null && tenure.stage !== 'settling' && now < tenure.validUntil",
      },
    ],
  },
  {
    name: 'resume-after-failed-release',
    breaks: 'R11: a release of unknown outcome is taken back',
    patches: [
      ...KEPT_VALIDITY,
      // So that the term can be granted once more.
      {
        file: HOLDING,
        from: 'sentAt, anchor, validUntil };',
        to: 'sentAt, anchor, validUntil, fencingToken };',
      },
      {
        file: HOLDING,
        from: '  // Write again only if the lease still names',
        to: `  if (step.now < tenure.validUntil && step.state.candidacy === 'contending') {
    step.updateTenure(tenure, { stage: 'leading' });
    step.state.undrainedTerm = null;
    step.state.nextAttemptAt = tenure.validUntil;
    step.emit({ kind: 'grant', term: tenure.term, fencingToken: tenure.fencingToken });
    return;
  }
  // Write again only if the lease still names`,
      },
    ],
    kinds: ['step-down', 'ghost', 'lose-response', 'hold-requests', 'drop-responses'],
  },
  {
    name: 'wall-expiry',
    breaks: 'R1: validity is measured on the wall clock',
    patches: [
      {
        file: 'core/validity.ts',
        from: '  const elapsed = monotonicElapsedMs(since, reading);\n  if (trust',
        to: '  if (reading.now > 0) return wallElapsedMs(since, reading.wallMicros);\n  const elapsed = monotonicElapsedMs(since, reading);\n  if (trust',
      },
      {
        file: HOLDING,
        from: 'const validUntil = Math.min(\n    tenure.validUntil,',
        to: 'const validUntil = Math.max(\n    0,',
      },
      {
        file: HOLDING,
        from: 'if (validUntil < tenure.validUntil) step',
        to: 'if (validUntil !== tenure.validUntil) step',
      },
    ],
  },
  {
    name: 'get-extends',
    breaks: '3.8: a read that shows the own record extends validity',
    patches: [
      {
        file: HOLDING,
        from: 'if (landed && tenure.sentRenewMicros > tenure.appliedRenewMicros) {',
        to: 'if (landed || step.now > 0) {',
      },
      {
        file: HOLDING,
        from: 'extend(step, tenure, tenure.sentAt, tenure.sentRenewMicros);',
        to: 'extend(step, tenure, step.at, tenure.sentRenewMicros);',
      },
    ],
  },
  {
    name: 'unknown-counts',
    breaks: 'R9: a renewal of unknown outcome counts as applied',
    patches: [
      {
        file: HOLDING,
        from: '      // Neither a conflict nor silence says who holds the lease: look at once (R9).',
        to: "      if (outcome.kind === 'unknown') return extend(step, tenure, request.startedAt, tenure.sentRenewMicros);",
      },
    ],
  },
  {
    name: 'undone-counts',
    breaks: 'R7: a renewal whose time was put back under a new version counts as one',
    patches: [
      {
        file: HOLDING,
        from: 'if (outcome.stored.record.renewTimeMicros !== tenure.sentRenewMicros)',
        to: 'if (outcome.stored.record.renewTimeMicros === null)',
      },
    ],
    traits: {
      altersWrites: true,
      watches: false,
      strict: false,
      lawless: false,
      faultCount: 80,
      allKinds: true,
    },
    kinds: ['webhook', 'drop-requests', 'drop-responses'],
    foundBy: 'disjoint-beliefs',
  },
  {
    name: 'blind-release',
    breaks: 'R11: a release is repeated on whatever record there is now',
    patches: [
      {
        file: HOLDING,
        from: '  if (tenure === null) return;\n  const lease = observation?.lease ?? null;',
        to: "  if (tenure === null || tenure.stage === 'releasing') return;\n  const lease = observation?.lease ?? null;",
      },
    ],
  },
  {
    name: 'release-undrained',
    breaks: 'R10: releases though work of the term still runs',
    patches: [
      {
        file: HOLDING,
        from: 'return !wasGranted || (state.undrainedTerm === null && !closes);',
        to: 'return !wasGranted || !closes;',
      },
    ],
  },
  {
    name: 'no-time-to-drain',
    breaks: 'R10: with a drain timeout of 0 a drain fails though there is nothing to drain',
    patches: [
      {
        file: HOLDING,
        from: 'Math.max(1, step.config.drainTimeoutMs)',
        to: 'step.config.drainTimeoutMs',
      },
    ],
    foundBy: 'drain-ends',
  },
  {
    name: 'settling-stop-marks-clean',
    breaks: 'R13: the release of a term that was never granted promises that nobody believes',
    patches: [
      {
        file: RECORD,
        from: 'releasedTransitions: isRelease ? term : null,',
        to: "releasedTransitions: purpose === 'hold' ? null : term,",
      },
    ],
    traits: { strict: true, lawless: true },
  },
  {
    name: 'settling-stop-looks-clean',
    breaks: 'R13: the release of a term that was never granted has the shape of client-go’s',
    patches: [
      {
        file: RECORD,
        from: 'leaseDurationSeconds: isRelease ? 1 : leaseDurationMs / 1_000,',
        to: "leaseDurationSeconds: purpose === 'hold' ? leaseDurationMs / 1_000 : 1,",
      },
      {
        file: RECORD,
        from: 'acquireTimeMicros: isRelease ? renewTimeMicros : acquireTimeMicros,',
        to: "acquireTimeMicros: purpose === 'hold' ? acquireTimeMicros : renewTimeMicros,",
      },
    ],
    traits: { strict: true, lawless: true },
    foundBy: 'release-after-drain',
  },
  {
    name: 'drain-bounded-by-validity',
    breaks: 'R10: what a drain sends is bounded by the validity of the term that has ended',
    patches: [
      ...KEPT_VALIDITY,
      {
        file: HOLDING,
        from: "const end = tenure.stage === 'draining' ? tenure.drainDeadline : tenure.validUntil;",
        to: 'const end = tenure.validUntil;',
      },
    ],
    traits: {
      durations: EARLY_DEADLINE,
      drainTimeoutMs: 20_000,
      hasJobs: true,
      faultCount: 120,
      allKinds: true,
    },
    kinds: ['step-down', 'suspend', 'drop-requests'],
  },
  {
    name: 'drain-without-end',
    breaks: 'R10: the drain timeout has no effect while the application closes',
    patches: [
      {
        file: HOLDING,
        from: 'if (undrainedTerm !== null && (finishing || step.now >= tenure.drainDeadline)) {',
        to: "if (undrainedTerm !== null && (finishing || (step.now >= tenure.drainDeadline && step.state.candidacy !== 'stopping'))) {",
      },
      {
        file: HOLDING,
        from: '  if (step.now >= tenure.drainDeadline) return Infinity;\n',
        to: "  if (step.now >= tenure.drainDeadline && step.state.candidacy !== 'stopping') return Infinity;\n",
      },
    ],
    traits: { hasJobs: true, hooksMs: 40_000, faultCount: 60 },
    kinds: ['stop'],
    foundBy: 'drain-ends',
  },
  {
    name: 'release-forgotten',
    breaks: 'R11: a process that stops in good order lets its lease lapse',
    patches: [
      {
        file: HOLDING,
        from: "if (candidacy === 'stopping' && !step.config.releaseOnShutdown) {",
        to: "if (candidacy === 'stopping') {",
      },
      {
        file: 'core/following.ts',
        from: "if (candidacy === 'stopping' && !(finishing && step.config.releaseOnShutdown)) return null;",
        to: "if (candidacy === 'stopping' && finishing !== undefined) return null;",
      },
    ],
    traits: { slowServer: 0, strict: false, lawless: false },
    kinds: ['step-down'],
    foundBy: 'quick-handover',
  },
  {
    name: 'work-added-later-unseen',
    breaks: 'R10: work that is added while other work is waited for is not waited for',
    patches: [
      {
        file: 'elector/work-in-flight.ts',
        from: 'while (this.running > 0) {',
        to: 'if (this.running > 0) {',
      },
    ],
    traits: { hasJobs: true },
  },
  {
    name: 'retry-after-unbounded',
    breaks: 'R18: a Retry-After is obeyed beyond the end of validity',
    patches: [
      {
        file: HOLDING,
        from: 'return Math.min(wanted, latest);',
        to: 'return Math.max(wanted, Math.min(wanted, latest));',
      },
    ],
    kinds: ['reject'],
  },
  {
    name: 'forgets-sleep',
    breaks: 'R19, 3.12: the time that the machine slept is not counted by any clock',
    patches: [
      {
        file: 'core/validity.ts',
        from: '(slept > SUSPENSION_NOISE_MS ? slept : 0)',
        to: '0 * slept * SUSPENSION_NOISE_MS',
      },
      {
        file: 'core/validity.ts',
        from: 'return byWall > elapsed + WALL_TOLERANCE_MS ? byWall : elapsed;',
        to: 'return byWall > Infinity ? byWall : elapsed;',
      },
    ],
    traits: { sleeps: true, lawless: false, restores: false, watches: false, faultCount: 80 },
    kinds: ['sleep', 'drop-requests', 'lose-request'],
  },
  {
    name: 'settles-half',
    breaks: 'R13: strict mode settles for half of a lease duration',
    patches: [
      {
        file: HOLDING,
        from: 'settledAt: step.now + settleMs,',
        to: 'settledAt: step.now + settleMs / 2,',
      },
    ],
    traits: { strict: true, lawless: true, watches: false },
    kinds: ['delete', 'edit', 'drop-requests'],
    foundBy: 'disjoint-beliefs',
  },
  {
    name: 'settling-never-expires',
    breaks: 'R13: a lease that is lost while it settles is granted all the same',
    patches: [
      {
        file: HOLDING,
        from: 'if (tenure === null || !believes(tenure)) return;\n  // Never',
        to: "if (tenure?.stage !== 'leading') return;\n  // Never",
      },
    ],
    traits: { strict: true, lawless: true },
  },
  {
    name: 'duration-unchecked',
    breaks: 'R9: a lease whose duration was changed is held on to',
    patches: [
      {
        file: HOLDING,
        from: 'isOwnRecord(step, record) && record.leaseDurationSeconds === step.config.leaseDurationMs / 1_000',
        to: 'isOwnRecord(step, record)',
      },
    ],
    traits: { altersWrites: true, faultCount: 80 },
    kinds: ['webhook'],
  },
  {
    name: 'sent-forgotten',
    breaks: 'R9: of the renewals that may land, only the last is known as an own one',
    patches: [
      { file: 'core/step.ts', from: 'REMEMBERED_RENEWALS = 64;', to: 'REMEMBERED_RENEWALS = 1;' },
    ],
  },
  {
    name: 'drained-by-timeout',
    breaks: 'R10: a drain that takes too long ends in a release',
    patches: [
      {
        file: HOLDING,
        from: '    // Work may still run: whoever follows must wait the lease out.\n',
        to: "    if (tenure.stage === 'draining') {\n      beginRelease(step, tenure);\n      return step.state.tenure === null ? Infinity : proceedHolding(step);\n    }\n",
      },
    ],
    foundBy: 'release-after-drain',
  },
  {
    name: 'release-without-end',
    breaks: 'R11: a release that fails is tried without end',
    patches: [
      {
        file: HOLDING,
        from: 'if (now >= tenure.releaseDeadline) {',
        to: 'if (now >= 2 * tenure.releaseDeadline) {',
      },
    ],
  },
  {
    name: 'renews-in-place-of-release',
    breaks: 'R11: a lease that is to be released is renewed',
    patches: [
      ...KEPT_VALIDITY,
      {
        file: HOLDING,
        from: "if (tenure.stage === 'releasing') return proceedReleasing(step, tenure);",
        to: 'if (step.now < 0) return proceedReleasing(step, tenure);',
      },
      {
        file: HOLDING,
        from: ': tenure.validUntil;',
        to: ': (tenure.validUntil ?? step.now);',
      },
      {
        file: HOLDING,
        from: "if (tenure === null || tenure.stage === 'releasing') return;",
        to: 'if (tenure === null) return;',
      },
    ],
  },
  {
    name: 'writes-on-the-unknown',
    breaks: 'R9: after a renewal of unknown outcome the next one is sent without a look',
    patches: [
      {
        file: HOLDING,
        from: 'step.updateTenure(tenure, { mustReadBack: true });\n      step.state.nextAttemptAt = step.now;',
        to: 'step.state.nextAttemptAt = step.now;',
      },
    ],
  },
];
