import * as api from '../../lib/index.js';

describe('the main entry', () => {
  describe('when imported', () => {
    it('exports these values and no others', () => {
      expect(Object.keys(api).sort()).toEqual([
        'DrainTimeoutError',
        'ElectionStoppedError',
        'EveryReplica',
        'InjectLeadership',
        'LeaderElectionError',
        'LeaderElectionModule',
        'LeaderElectionOptionsError',
        'LeaderGuard',
        'LeaderOnly',
        'LeadershipHandlerError',
        'LeadershipRevokedError',
        'LeadershipService',
        'LeadershipUnavailableError',
        'LeaseAlteredError',
        'LockRequestError',
        'MembersUnknownError',
        'NotLeaderError',
        'OnGranted',
        'OnNewLeader',
        'OnRevoked',
        'StoreTooSlowError',
        'WallClockError',
        'configMapLock',
        'currentTerm',
        'fileLock',
        'getLeaderElectionOptionsToken',
        'getLeadershipToken',
        'leaseLock',
        'memoryLock',
      ]);
    });
  });
});
