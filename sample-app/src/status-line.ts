import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { LeadershipService } from 'nestjs-leader-election';

/** Tells the parent process, if there is one (`npm start`), whether this replica leads. */
@Injectable()
export class StatusLine implements OnApplicationBootstrap {
  constructor(private readonly leadership: LeadershipService) {}

  onApplicationBootstrap(): void {
    this.leadership.leadership$.subscribe(({ isLeader }) => process.send?.({ isLeader }));
  }
}
