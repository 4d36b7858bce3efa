import { monotonicMs } from '../fleet/monotonic-clock.js';
import type {
  CandidatesOrder,
  CandidatesReport,
  CandidatesSettings,
  Following,
} from './crowd-process.js';

/** A handover is over by then: what is said of it must not slow it down. */
const LATER_MS = 1_000;

/** How a process of candidates hears from its parent, and tells it who leads. */
export class CandidatesChannel {
  readonly settings = JSON.parse(process.env['CANDIDATES']!) as CandidatesSettings;
  private follows: Following[] = [];

  onOrder(follow: (order: CandidatesOrder) => void): void {
    process.on('message', follow);
    this.tell('ready', '');
  }

  tell(kind: CandidatesReport['kind'], identity: string): void {
    process.send!({ kind, identity, at: monotonicMs() } satisfies CandidatesReport);
  }

  /** Each of many hears it at about the same time. */
  tellLater(identity: string, leader: string): void {
    if (this.follows.length === 0) setTimeout(() => this.flush(), LATER_MS);
    this.follows.push({ identity, leader, at: monotonicMs() });
  }

  private flush(): void {
    process.send!(this.follows);
    this.follows = [];
  }
}
