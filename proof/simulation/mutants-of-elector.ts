import type { Mutant } from './mutant.js';

const ELECTOR = 'elector/leader-elector.ts';
const REQUESTS = 'elector/store-request.ts';

/** What may be wrong around the machine: with locks and observers that do not keep to their side, and with work. */
export const MUTANTS_OF_ELECTOR: readonly Mutant[] = [
  {
    name: 'lock-trusted-to-reject',
    breaks: 'a lock that throws where it should reject breaks the loop',
    patches: [
      {
        file: REQUESTS,
        from: '    return Promise.reject(cause as Error);',
        to: '    throw cause;',
      },
    ],
    kinds: ['broken-lock'],
    foundBy: 'no-exception',
  },
  {
    name: 'lock-trusted-to-answer',
    breaks: 'a lock that never answers is waited for',
    patches: [
      {
        file: REQUESTS,
        from: '}, timeoutMs + OVERRUN_MS);',
        to: '}, timeoutMs + 1e9 * OVERRUN_MS);',
      },
    ],
    kinds: ['broken-lock'],
  },
  {
    name: 'lock-trusted-to-make-sense',
    breaks: 'what a lock answers is taken for an outcome, whatever it is',
    patches: [
      {
        file: REQUESTS,
        from: 'if (problem !== undefined) return nonsense(request, problem);',
        to: '',
      },
    ],
    kinds: ['broken-lock'],
  },
  {
    name: 'lock-trusted-to-make-new-leases',
    breaks: 'a lease object that the lock keeps and changes counts as what was seen first',
    patches: [
      {
        file: REQUESTS,
        from: 'return { kind, stored: kept.copyOf(stored) } as Outcome<Version>;',
        to: 'return { kind, stored } as Outcome<Version>;',
      },
      {
        file: 'elector/lock-requests.ts',
        from: 'return isLease(lease) ? { lease: copyOfLease(lease) } : undefined;',
        to: 'return isLease(lease) ? { lease } : undefined;',
      },
    ],
    traits: { keepsLease: true, lawless: false, restores: false, clones: false, sleeps: false },
    kinds: ['kill', 'step-down'],
    foundBy: 'disjoint-beliefs',
  },
  {
    name: 'observer-trusted',
    breaks: 'the work of a term is not waited for where the observer of its end throws',
    patches: [
      {
        file: ELECTOR,
        from: '    } finally {\n      // Also after an observer',
        to: '    } catch (error) {\n      throw error;\n    }\n    {\n      // Also after an observer',
      },
    ],
    kinds: ['fail-handler', 'step-down'],
    traits: { faultCount: 40, allKinds: true },
    foundBy: 'drain-ends',
  },
  {
    name: 'work-unheard',
    breaks: 'R10: no work of a term is waited for',
    patches: [
      {
        file: ELECTOR,
        from: 'this.drained = this.work.ended().then(',
        to: 'this.drained = Promise.resolve().then(',
      },
    ],
  },
  {
    name: 'signal-forgotten',
    breaks: 'R10: the end of a term does not abort its signal',
    patches: [
      {
        file: ELECTOR,
        from: 'abort.abort(new LeadershipRevokedError(this.config.role, number, reason));',
        to: 'if (abort === null) throw new LeadershipRevokedError(this.config.role, number, reason);',
      },
    ],
  },
];
