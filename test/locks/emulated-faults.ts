import type { StoreFixture } from '../../lib/contracts/lock-fixture.js';
import type { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';

/** What an API server does to a client: its connection breaks after a write was done, or at every request. */
export function storeFaultsOf(
  emulator: ApiEmulator,
): Required<Pick<StoreFixture, 'loseAnswer' | 'interrupt'>> {
  return {
    loseAnswer: async () =>
      emulator.fail({
        on: ({ verb }) => verb === 'create' || verb === 'update',
        applies: true,
        fault: { kind: 'reset' },
      }),
    interrupt: async () => {
      emulator.fail({ times: Infinity, fault: { kind: 'reset' } });
      return async () => emulator.clearFaults();
    },
  };
}
