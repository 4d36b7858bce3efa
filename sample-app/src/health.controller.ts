import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { type ElectionHealth, LeadershipService } from 'nestjs-leader-election';

/** For the probes of a pod. A follower is as healthy as the leader; only a restart helps a replica that is `down`. */
@Controller('health')
export class HealthController {
  constructor(private readonly leadership: LeadershipService) {}

  @Get()
  health(): ElectionHealth {
    const health = this.leadership.health();
    if (health.status === 'down') throw new ServiceUnavailableException(health);
    return health;
  }
}
