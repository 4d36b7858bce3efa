import { Test } from '@nestjs/testing';
import { describe, expect, it } from '@jest/globals';
import { LeaderElectionModule, LeadershipService } from '../../lib/index.js';
import { LeaderElectionTestingModule, TestElection } from '../../lib/testing/index.js';

describe.each([
  ['LeaderElectionTestingModule', true],
  ['a controlled LeaderElectionModule', false],
])('when a test decides who the members are, with %s', (_, isTestingModule) => {
  async function start(election: TestElection) {
    const options = { role: 'plans', members: true };
    const imports = [
      isTestingModule
        ? LeaderElectionTestingModule.forRoot({ ...options, election })
        : LeaderElectionModule.forRoot(options),
    ];
    const builder = Test.createTestingModule({ imports });
    const module = await (isTestingModule ? builder : election.control(builder)).compile();
    await module.init();
    return { module, leadership: module.get(LeadershipService) };
  }

  it('shows them, and which of them leads', async () => {
    const election = new TestElection();
    const { module, leadership } = await start(election);
    expect(leadership.members).toBeUndefined();
    await election.setMembers([
      { name: 'a', isSelf: true },
      { name: 'b', isReady: false },
    ]);
    await election.grant();
    const leaders = () => leadership.members?.map(({ name, isLeader }) => [name, isLeader]);
    expect(leaders()).toEqual([
      ['a', true],
      ['b', false],
    ]);
    await election.revoke();
    await election.setLeader('b_1');
    expect(leaders()).toEqual([
      ['a', false],
      ['b', true],
    ]);
    expect(leadership.members![1]).toMatchObject({
      isReady: false,
      isTerminating: false,
      uid: 'b',
    });
    await module.close();
  });

  it('reports that they are unknown when it says so', async () => {
    const election = new TestElection();
    await election.setMembers([{ name: 'a', isSelf: true }]);
    const { module, leadership } = await start(election);
    const errors: string[] = [];
    leadership.errors$.subscribe(({ code }) => errors.push(code));
    expect(leadership.members).toHaveLength(1);
    await election.setMembers(undefined);
    expect([errors, leadership.members]).toEqual([['ERR_MEMBERS_UNKNOWN'], undefined]);
    await module.close();
  });
});
