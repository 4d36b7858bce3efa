import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { isOfThisMachine } from './loopback.js';

/** Of the dashboard of a replica. */
@Injectable()
export class LoopbackGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return isOfThisMachine(context.switchToHttp().getRequest<IncomingMessage>());
  }
}
