import { Controller, Get, Post } from '@nestjs/common';
import { LeaderOnly, LeadershipService } from 'nestjs-leader-election';

@Controller('plans')
export class PlansController {
  private recalculations = 0;

  constructor(private readonly leadership: LeadershipService) {}

  /** Any replica answers. */
  @Get()
  status(): object {
    const { isLeader, leader, term } = this.leadershipNow();
    return { pid: process.pid, isLeader, leader, term };
  }

  /** Only the leader answers; a follower says 503, so that a load balancer or a client tries another replica. */
  @LeaderOnly()
  @Post('recalculate')
  recalculate(): object {
    this.recalculations += 1;
    return { pid: process.pid, recalculations: this.recalculations };
  }

  private leadershipNow(): object & { isLeader: boolean; leader?: string; term?: number } {
    const { leader, term } = this.leadership;
    return {
      isLeader: this.leadership.isLeader(),
      ...(leader === undefined ? {} : { leader }),
      ...(term === undefined ? {} : { term: term.number }),
    };
  }
}
