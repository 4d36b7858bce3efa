import type { OnceLedger } from '../../lib/schedule/once/once-ledger.js';
import type { OnceRole } from '../../lib/schedule/once/once-role.js';
import type { MutantBuild, SourcePatch } from '../mutants/mutant-build.js';
import type { OnceEngine } from './once-simulation.js';

/** A wrong claim: the simulation must find it out. */
export interface OnceMutant {
  readonly name: string;
  readonly breaks: string;
  readonly patch: SourcePatch;
}

export const ONCE_MUTANTS: readonly OnceMutant[] = [
  {
    name: 'run on timeout',
    breaks: 'an unknown outcome does not run',
    patch: {
      file: 'schedule/once/once-ledger.ts',
      from: "const written = outcome.kind === 'applied' ? outcome.stored : undefined;",
      to: "const written = outcome.kind === 'applied' ? outcome.stored : outcome.kind === 'unknown' ? { document, version: null } : undefined;",
    },
  },
  {
    name: 'no nonce',
    breaks: 'only the nonce that made the step runs',
    patch: {
      file: 'schedule/once/once-decision.ts',
      from: 'isSame && wasStarted && record.claim === claimant.nonce',
      to: 'isSame && wasStarted',
    },
  },
  {
    name: 'run an older version',
    breaks: 'a version never goes back',
    patch: {
      file: 'schedule/once/once-decision.ts',
      from: "if (order > 0) return 'superseded';",
      to: 'if (order > 0) return undefined;',
    },
  },
  {
    name: 'compare versions as text',
    breaks: '10 is newer than 9',
    patch: {
      file: 'schedule/once/once-version.ts',
      from: 'if (one.length !== other.length) return one.length - other.length;',
      to: '',
    },
  },
  {
    name: 'rerun in any case',
    breaks: "with 'fail' a run that was interrupted is not repeated",
    patch: {
      file: 'schedule/once/once-decision.ts',
      from: "if (isSame && wasStarted && wanted.onInterrupted === 'fail') {",
      to: 'if (false) {',
    },
  },
  {
    name: 'an interruption is no end',
    breaks: "with 'fail' what was interrupted is over",
    patch: {
      file: 'schedule/once/once-decision.ts',
      from: "return wanted.onInterrupted === 'fail' ? 'interrupted' : undefined;",
      to: 'return undefined;',
    },
  },
  {
    name: 'run again what failed',
    breaks: 'what has ended is over',
    patch: {
      file: 'schedule/once/once-decision.ts',
      from: "    case 'failed':\n",
      to: "    case 'failed':\n      if (record.state === 'failed') return undefined;\n",
    },
  },
  {
    name: 'end the run of another',
    breaks: 'a run records its own end only',
    patch: {
      file: 'schedule/once/once-decision.ts',
      from: 'if (record?.claim !== nonce) return undefined;',
      to: 'if (record === undefined) return undefined;',
    },
  },
  {
    name: 'hand back what was started',
    breaks: 'only what will never be started is handed back',
    patch: {
      file: 'schedule/once/once-work.ts',
      from: 'await (this.lastRun = this.run(verdict.record, term));\n        else await this.handBack',
      to: 'void (this.lastRun = this.run(verdict.record, term));\n        await this.handBack',
    },
  },
  {
    name: 'wait without looking',
    breaks: 'who waits learns the end of a run elsewhere',
    patch: {
      file: 'schedule/once/once-role.ts',
      from: 'if (read !== undefined) work.observe(read.record);',
      to: '',
    },
  },
];

/** The part of the library that the simulation drives. */
export const SIMULATED_PARTS = ['core', 'elector', 'schedule/ledger', 'schedule/once'];

export async function engineOf(
  build: MutantBuild,
  { name, patch }: OnceMutant,
): Promise<OnceEngine> {
  const load = await build.build(name, [patch]);
  const role = (await load('schedule/once/once-role.ts')) as { OnceRole: typeof OnceRole };
  const ledger = (await load('schedule/once/once-ledger.ts')) as { OnceLedger: typeof OnceLedger };
  return { OnceRole: role.OnceRole, OnceLedger: ledger.OnceLedger };
}
