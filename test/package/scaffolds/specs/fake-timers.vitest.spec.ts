import { vi } from 'vitest';
import { Injectable } from '@nestjs/common';
import { Interval, ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { LeaderElectionModule, LeaderOnly, LeadershipService } from 'nestjs-leader-election';
import { TestElection } from 'nestjs-leader-election/testing';

@Injectable()
class Poller {
  polls = 0;

  @LeaderOnly()
  @Interval(1_000)
  poll(): void {
    this.polls += 1;
  }
}

const imports = [
  ScheduleModule.forRoot(),
  LeaderElectionModule.forRoot({ role: 'poller', lock: 'memory' }),
];

describe('when vi.useFakeTimers() is in force', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('leads on while fake time passes, and closes', async () => {
    const election = new TestElection({ isLeader: true });
    const module = await election
      .control(Test.createTestingModule({ imports, providers: [Poller] }))
      .compile();
    await module.init();
    vi.advanceTimersByTime(60_000);
    expect(module.get(Poller).polls).toBe(60);
    expect(module.get(LeadershipService).isLeader()).toBe(true);
    await module.close();
  });

  it('renews the memory lock while fake time passes, and closes', async () => {
    const module = await Test.createTestingModule({ imports, providers: [Poller] }).compile();
    await module.init();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(module.get(LeadershipService).isLeader()).toBe(true);
    expect(module.get(Poller).polls).toBeGreaterThanOrEqual(59);
    await module.close();
  });
});
