import { Controller, Get } from '@nestjs/common';

/** For the probes of a pod. A standby is as healthy as the leader, so leadership plays no part in it. */
@Controller('health')
export class HealthController {
  @Get()
  health(): object {
    return { status: 'ok' };
  }
}
