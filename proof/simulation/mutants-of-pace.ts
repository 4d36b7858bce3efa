import type { Mutant } from './mutant.js';

const CONTENDING = 'core/following.ts';
const HOLDING = 'core/holding.ts';
const REPETITION = 'core/repetition.ts';
const MACHINE = 'core/election-machine.ts';
const ELECTOR = 'elector/leader-elector.ts';

/** What may be wrong with how long answers are waited for, how often things are tried, and how an election ends. */
export const MUTANTS_OF_PACE: readonly Mutant[] = [
  {
    name: 'fixed-timeout',
    breaks: 'R20: a request has the same timeout however slow the server is',
    patches: [
      {
        file: 'core/request-timeout.ts',
        from: 'return Math.max(configuredMs, typicalMs * (few',
        to: 'return Math.min(configuredMs, typicalMs * (few',
      },
    ],
    traits: { slowServer: 1, lawless: false, restores: false },
    foundBy: 'one-leader-after-healing',
  },
  {
    name: 'hopeless-term',
    breaks: 'R20: an acquisition is granted though a second answer like it would come too late',
    patches: [
      {
        file: CONTENDING,
        from: 'const inTime = tookMs <= step.config.renewDeadlineMs / 2;',
        to: 'const inTime = tookMs < step.config.renewDeadlineMs;',
      },
    ],
    traits: { strict: false },
    kinds: ['steady-slow', 'kill'],
    foundBy: 'grant-in-time',
  },
  {
    name: 'conflict-forgotten',
    breaks: 'R21: a version that a write has conflicted with is tried again at once',
    patches: [
      { file: REPETITION, from: '?.until ?? -Infinity;', to: '?.until === 0 ? 0 : -Infinity;' },
    ],
    traits: { watches: false },
    kinds: ['stale-read', 'step-down', 'kill'],
    foundBy: 'conflict-remembered',
  },
  {
    name: 'conflict-never-forgotten',
    breaks:
      'R21: a version that a write has conflicted with is never tried again, though the store was restored',
    patches: [
      {
        file: REPETITION,
        from: 'step.now + step.config.leaseDurationMs;\n  step.state.refuted',
        to: 'Infinity;\n  step.state.refuted',
      },
      { file: REPETITION, from: 'step.state.refuted = [];', to: '' },
    ],
    traits: { ending: 'restore', lawless: false, strict: false, watches: true, slowServer: 0.5 },
    kinds: ['step-down'],
    foundBy: 'quick-takeover',
  },
  {
    name: 'steady-repetition',
    breaks: 'R21: an attempt that fails in the same way again and again is made as often as ever',
    patches: [
      { file: REPETITION, from: 'failedAttempts.count + 1 : 1;', to: 'failedAttempts.count : 1;' },
    ],
    kinds: ['reject', 'fail-before-applying', 'kill'],
    foundBy: 'repetition-slows-down',
  },
  {
    name: 'impatient-watch',
    breaks: 'R21: a watch counts as deaf before a takeover can be due',
    patches: [
      {
        file: ELECTOR,
        from: 'silenceLimitMs: this.config.leaseDurationMs + 2 * this.config.retryPeriodMs',
        to: 'silenceLimitMs: this.config.leaseDurationMs',
      },
    ],
    traits: { ending: 'crash', watches: true },
    foundBy: 'quiet-takeover',
  },
  {
    name: 'restless-watch',
    breaks: 'R21: every failure opens the watch again',
    patches: [
      {
        file: ELECTOR,
        from: 'return this.dependencies.observer.onNotice?.(effect);',
        to: `if (effect.kind === 'failed') {
          this.watch?.close();
          this.openWatch();
        }
        return this.dependencies.observer.onNotice?.(effect);`,
      },
    ],
    traits: { watches: true },
    kinds: ['fail-before-applying', 'reject', 'lose-response'],
    foundBy: 'watch-budget',
  },
  {
    name: 'polls-beside-watch',
    breaks: 'R14: a follower reads every retry period though its watch is open',
    patches: [
      {
        file: CONTENDING,
        from: 'if (step.state.watching && !step.state.watchMissed) return attemptAt;',
        to: '',
      },
    ],
    foundBy: 'quiet-calm',
  },
  {
    name: 'waits-twice',
    breaks: 'R5: a dead holder’s lease is waited for twice',
    patches: [
      {
        file: 'core/observing.ts',
        from: 'const expiry = since + leaseDurationOf(record, step.config);',
        to: 'const expiry = since + 2 * leaseDurationOf(record, step.config);',
      },
    ],
    foundBy: 'quick-takeover',
  },
  {
    name: 'woken-late',
    breaks: 'R22: who is woken by a release waits for longer than any crowd may cost',
    patches: [
      {
        file: 'core/crowd.ts',
        from: 'Math.min(LONGEST_WINDOW_MS, leaseDurationMs * LONGEST_WINDOW_SHARE)',
        to: '60_000',
      },
      {
        file: 'core/crowd.ts',
        from: 'SHORTEST_WINDOW_MS = 10;',
        to: 'SHORTEST_WINDOW_MS = 60_000;',
      },
    ],
    foundBy: 'quick-handover',
  },
  {
    name: 'renews-late',
    breaks: 'R2: the next renewal is sent just before the end of validity',
    patches: [
      {
        file: HOLDING,
        from: 'step.state.nextAttemptAt = anchor.now + step.config.retryPeriodMs;',
        to: 'step.state.nextAttemptAt = anchor.now + step.config.renewDeadlineMs - 1;',
      },
    ],
    foundBy: 'calm-after-healing',
  },
  {
    name: 'never-stops',
    breaks: 'the end: an election that has nothing left to do does not say so',
    patches: [
      {
        file: MACHINE,
        from: 'if (finishing && nothingLeft && wakeAt === Infinity) return stop(step);',
        to: '',
      },
      { file: MACHINE, from: 'if (step.now >= finishDeadline) return stop(step);', to: '' },
    ],
    foundBy: 'stop-ends',
  },
  {
    name: 'watch-left-open',
    breaks: 'the end: the watch goes on after the election has stopped',
    patches: [{ file: ELECTOR, from: '    this.watch?.close();\n', to: '' }],
    foundBy: 'nothing-after-stop',
  },
  {
    name: 'pause-ignored',
    breaks: 'R2: an attempt follows the one that failed at once',
    patches: [
      {
        file: CONTENDING,
        from: 'competesFrom(step, observation),\n    step.state.nextAttemptAt,',
        to: 'competesFrom(step, observation),',
      },
    ],
    foundBy: 'request-budget',
  },
  {
    name: 'death-repeated',
    breaks: 'R21: each report of one death is a reason to try at once',
    patches: [
      {
        file: 'core/holder-death.ts',
        from: 'if (tenure !== null || observation === null || observation.deathShownBy !== null) return;',
        to: 'if (tenure !== null || observation === null) return;',
      },
    ],
    traits: { reportsDeath: true, watches: true, faultCount: 60, allKinds: true },
    kinds: ['kill', 'reject'],
    foundBy: 'request-budget',
  },
  {
    name: 'conflict-forgotten-early',
    breaks:
      'R21: a version that a write has conflicted with is tried again after half a lease duration',
    patches: [
      {
        file: REPETITION,
        from: 'const until = step.now + step.config.leaseDurationMs;',
        to: 'const until = step.now + step.config.leaseDurationMs / 2;',
      },
    ],
    traits: { watches: false },
    kinds: ['stale-read', 'step-down', 'kill'],
    foundBy: 'conflict-remembered',
  },
  {
    name: 'restored-again-and-again',
    breaks: 'R21: two servers of different age begin the pace again with each read',
    patches: [
      {
        file: REPETITION,
        from: 'if (step.now < restoredAt + step.config.leaseDurationMs) return false;',
        to: '',
      },
    ],
    traits: { watches: false },
    kinds: ['stale-read', 'step-down', 'kill', 'fail-before-applying'],
    foundBy: 'conflict-remembered',
  },
  {
    name: 'altered-attempts-are-news',
    breaks:
      'R21: each own attempt that something empties, and a proxy sends twice, makes the next one at once',
    patches: [{ file: 'core/observing.ts', from: ' || isOwnAttempt', to: '' }],
    traits: { altersWrites: true, lawless: true, faultCount: 80, allKinds: true },
    kinds: ['webhook', 'resend', 'edit', 'kill'],
    foundBy: 'request-budget',
  },
];
