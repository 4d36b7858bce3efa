import { Controller, Get, Header } from '@nestjs/common';
import { register } from 'prom-client';

/** For Prometheus, which scrapes every replica. */
@Controller('metrics')
export class MetricsController {
  @Get()
  @Header('Content-Type', register.contentType)
  metrics(): Promise<string> {
    return register.metrics();
  }
}
