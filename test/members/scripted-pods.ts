import { LockRequestError } from '../../lib/core/errors.js';
import type { JsonDocument } from '../../lib/core/json-document.js';
import type { ObservedPod } from '../../lib/members/pod.js';
import { parsePod } from '../../lib/members/pod.js';
import type { PodAnswer, PodApi, PodPage, PodWatchCalls } from '../../lib/members/pod-api.js';
import type { WatchEnd } from '../../lib/kubernetes/watch-attempt.js';

let version = 100;

export interface PodFields {
  readonly name: string;
  readonly isReady?: boolean;
  readonly isTerminating?: boolean;
  readonly phase?: string;
  readonly labels?: Record<string, string>;
  readonly containerStatuses?: readonly JsonDocument[];
}

export function podObject(fields: PodFields): JsonDocument {
  const { name, isReady = false, isTerminating = false, phase = 'Running' } = fields;
  const { containerStatuses = [] } = fields;
  return {
    metadata: {
      name,
      uid: `uid of ${name}`,
      resourceVersion: String(++version),
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: fields.labels ?? { app: 'plan', 'pod-template-hash': 'abc' },
      ...(isTerminating && { deletionTimestamp: '2026-01-01T01:00:00Z' }),
    },
    spec: { nodeName: 'node-1' },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
      containerStatuses,
    },
  };
}

export function pod(name: string, fields: Omit<PodFields, 'name'> = {}): ObservedPod {
  return parsePod(podObject({ name, ...fields }));
}

export function failure(message: string, status?: number): Failure {
  const error = new LockRequestError(message, { reason: 'rejected' });
  return { kind: 'failed', error, ...(status !== undefined && { status }) };
}

type Failure = Extract<PodAnswer<never>, { kind: 'failed' }>;

interface OpenWatch extends PodWatchCalls {
  end(end?: WatchEnd): void;
}

/** An API server of which a test says what it answers. */
export class ScriptedPods implements PodApi {
  readonly asked: string[] = [];
  /** What each next request meets; nothing where it is undefined. */
  readonly failures: Record<'get' | 'list' | 'watch', (Failure | undefined)[]> = {
    get: [],
    list: [],
    watch: [],
  };
  pods: ObservedPod[] = [pod('a'), pod('b')];
  podsPerPage = 100;
  own = podObject({ name: 'a' });
  opened: OpenWatch | undefined;
  /** Whether watches open only when the test says so, with `open()`. */
  isSlow = false;
  open: () => void = () => {};
  isClosed = false;

  async ownPod(): Promise<PodAnswer<ObservedPod>> {
    this.asked.push('get');
    return this.failures.get.shift() ?? { kind: 'answer', value: this.pods[0]! };
  }

  async ownPodObject(): Promise<PodAnswer<JsonDocument>> {
    this.asked.push('get all of it');
    return this.failures.get.shift() ?? { kind: 'answer', value: this.own };
  }

  async page(selector: string, next: string | undefined): Promise<PodAnswer<PodPage>> {
    this.asked.push(`list ${selector}${next === undefined ? '' : ` from ${next}`}`);
    const failed = this.failures.list.shift();
    if (failed !== undefined) return failed;
    const from = Number(next ?? 0);
    const to = from + this.podsPerPage;
    return {
      kind: 'answer',
      value: {
        pods: this.pods.slice(from, to),
        resourceVersion: '50',
        next: to < this.pods.length ? String(to) : undefined,
      },
    };
  }

  watch(
    selector: string,
    from: string,
    calls: PodWatchCalls,
    signal: AbortSignal,
  ): Promise<WatchEnd> {
    this.asked.push(`watch ${selector} from ${from}`);
    const failed = this.failures.watch.shift();
    if (failed !== undefined) return Promise.resolve(failed);
    const ended = new Promise<WatchEnd>((resolve) => {
      const end = (result: WatchEnd = {}): void => {
        this.opened = undefined;
        resolve(result);
      };
      this.opened = { ...calls, end };
      this.open = () => {
        calls.opened();
        calls.heard();
      };
      signal.addEventListener('abort', () => {
        const { message } = signal.reason as Error;
        end({ error: new LockRequestError(message, { reason: 'unclear' }) });
      });
    });
    if (!this.isSlow) this.open();
    return ended;
  }

  close(): void {
    this.isClosed = true;
  }
}
