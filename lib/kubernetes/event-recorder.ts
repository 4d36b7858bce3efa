import type { Clock } from '../core/clock.js';
import { wallMs } from '../core/clock.js';
import { LockRequestError } from '../core/errors.js';
import { parseDocument, partOf } from '../core/json-document.js';
import { explainNoAnswer, explainResponse } from './answer-messages.js';
import { isVersionConflict, provesNotApplied } from './api-status.js';
import type { ClusterConnection } from './connection/cluster-connection.js';
import { type ApiRequest, KubernetesTransport } from './kubernetes-transport.js';
import {
  type ApiAnswer,
  collectionPath,
  eventAddress,
  leaseAddress,
  type ObjectAddress,
  objectPath,
  type Verb,
} from './object-request.js';
import { pause } from './pause.js';

/** One thing to tell those who look at an object with kubectl. */
export interface ClusterEvent {
  readonly type: 'Normal' | 'Warning';
  /** One word, by which people filter. */
  readonly reason: string;
  readonly message: string;
  /** The Lease that it is about, in the namespace of the recorder. */
  readonly lease: string;
}

interface EventRecorderDependencies {
  readonly connection: ClusterConnection;
  readonly namespace: () => Promise<string>;
  /** The identity of this process. */
  readonly instance: string;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** Once for each kind of failure. */
  readonly report: (error: LockRequestError) => void;
}

/** An event that is stored, and may be told again. */
interface Stored {
  readonly name: string;
  count: number;
  lastMs: number;
}

/** An event on its way. Its attempts write the same, so that a write whose answer was lost is not done twice. */
interface Telling {
  readonly event: ClusterEvent;
  /** Events with the same one are counted. */
  readonly key: string;
  /** Where it is counted; undefined where it is stored by itself. */
  countedIn: Stored | undefined;
  /** Under which it is stored, once that was tried. */
  name: string | undefined;
  /** An attempt under that name may have stored it, and its answer does not tell. */
  isPerhapsStored: boolean;
}

/** As client-go's recorder has it: so many events about one object at once, and then one in so much time. */
const BURST = 25;
const REFILL_MS = 300_000;
/** An event that comes again within this time is counted instead of stored once more. */
const SAME_WITHIN_MS = 600_000;
/** So many with one reason that differ in their message within that time; the others become one. */
const MOST_SIMILAR = 10;
const COMBINED = '(combined from similar events): ';
/** Waiting for their request; the oldest make room. */
const MOST_WAITING = 50;
const MOST_REMEMBERED = 200;
const ATTEMPTS = 3;
const PAUSE_MS = 5_000;
const COMPONENT = 'nestjs-leader-election';
/** Of `reportingInstance`. */
const LONGEST_INSTANCE = 128;
const LONGEST_MESSAGE = 1_000;

/**
 * Records Kubernetes Events (core/v1), which `kubectl describe lease` shows. Nothing waits for it, and it has connections of
 * its own: an API server that does not answer here costs no leadership. What repeats is counted, what would flood is dropped,
 * and what fails is tried three times.
 */
export class EventRecorder {
  private readonly transport: KubernetesTransport;
  private readonly waiting: ClusterEvent[] = [];
  private readonly stored = new Map<string, Stored>();
  private readonly similar = new Map<string, { fromMs: number; readonly messages: Set<string> }>();
  private readonly budgets = new Map<string, { tokens: number; atMs: number }>();
  private readonly reported = new Set<string>();
  private readonly stop = new AbortController();
  /** Of the present pause alone. */
  private hurry = new AbortController();
  private writing: Promise<void> | undefined;
  private names = 0;

  constructor(private readonly its: EventRecorderDependencies) {
    this.transport = new KubernetesTransport(its.connection);
  }

  record(event: ClusterEvent): void {
    if (this.stop.signal.aborted || !this.isAffordable(event.lease)) return;
    this.waiting.push(this.combined(event));
    if (this.waiting.length > MOST_WAITING) this.waiting.shift();
    this.writing ??= this.write().finally(() => (this.writing = undefined));
  }

  /** Waits for what is recorded already, as long as the caller does. */
  async close(): Promise<void> {
    this.hurry.abort();
    await this.writing;
  }

  /** Ends at once: what is under way is abandoned. */
  abandon(): void {
    this.stop.abort();
    this.hurry.abort();
    this.transport.close();
  }

  /** A token bucket for each object. */
  private isAffordable(lease: string): boolean {
    const now = this.its.clock.now();
    const { tokens, atMs } = this.budgets.get(lease) ?? { tokens: BURST, atMs: now };
    const left = Math.min(BURST, tokens + (now - atMs) / REFILL_MS);
    this.budgets.set(lease, { tokens: left < 1 ? left : left - 1, atMs: now });
    return left >= 1;
  }

  private combined(event: ClusterEvent): ClusterEvent {
    const now = this.its.clock.now();
    const key = `${event.lease} ${event.reason} ${event.type}`;
    const known = this.similar.get(key);
    const similar =
      known === undefined || now - known.fromMs > SAME_WITHIN_MS
        ? { fromMs: now, messages: new Set<string>() }
        : known;
    this.similar.set(key, similar);
    similar.messages.add(event.message);
    const isCombined = similar.messages.size > MOST_SIMILAR;
    if (isCombined) similar.messages.delete(event.message);
    return isCombined ? { ...event, message: COMBINED + event.message } : event;
  }

  private async write(): Promise<void> {
    for (let event = this.waiting.shift(); event !== undefined; event = this.waiting.shift()) {
      const telling = this.tellingOf(event);
      for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
        if (this.stop.signal.aborted || (await this.isTold(telling))) break;
        if (attempt < ATTEMPTS) await this.wait();
      }
    }
  }

  private tellingOf(event: ClusterEvent): Telling {
    const isCombined = event.message.startsWith(COMBINED);
    const key = `${event.lease} ${event.reason} ${isCombined ? COMBINED : event.message}`;
    const known = this.stored.get(key);
    const isSame = known !== undefined && this.its.clock.now() - known.lastMs <= SAME_WITHIN_MS;
    return {
      event,
      key,
      countedIn: isSame ? known : undefined,
      name: undefined,
      isPerhapsStored: false,
    };
  }

  private wait(): Promise<void> {
    this.hurry = new AbortController();
    return pause(this.its.clock, PAUSE_MS, this.hurry.signal);
  }

  /** True also where another attempt would change nothing. */
  private async isTold(telling: Telling): Promise<boolean> {
    const namespace = await this.namespaceOf();
    if (namespace === undefined) return false;
    const { event, countedIn } = telling;
    if (countedIn === undefined) return this.isCreated(namespace, telling);
    const answer = await this.counted(namespace, event, countedIn);
    if (answer.kind === 'response' && answer.status === 200) {
      countedIn.count += 1;
      countedIn.lastMs = this.its.clock.now();
      return true;
    }
    if (answer.kind !== 'response' || answer.status !== 404) {
      return this.failed(answer, 'patch', eventAddress(namespace, countedIn.name));
    }
    // Events are kept for an hour, and anyone may delete one.
    telling.countedIn = undefined;
    return this.isCreated(namespace, telling);
  }

  private counted(namespace: string, { message }: ClusterEvent, known: Stored): Promise<ApiAnswer> {
    const lastTimestamp = this.nowText();
    const body = {
      count: known.count + 1,
      lastTimestamp,
      message: message.slice(0, LONGEST_MESSAGE),
    };
    const path = objectPath(eventAddress(namespace, known.name));
    return this.send({ method: 'PATCH', path, body });
  }

  private async isCreated(namespace: string, telling: Telling): Promise<boolean> {
    const { instance, clock } = this.its;
    const { type, reason, message, lease } = telling.event;
    const address = eventAddress(namespace, (telling.name ??= this.nameFor(lease)));
    const at = this.nowText();
    const uid = await this.uidOf(namespace, lease);
    const { apiVersion, kind } = leaseAddress(namespace, lease);
    const body = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: address.name, namespace },
      involvedObject: {
        apiVersion,
        kind,
        namespace,
        name: lease,
        ...(uid !== undefined && { uid }),
      },
      type,
      reason,
      message: message.slice(0, LONGEST_MESSAGE),
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
      source: { component: COMPONENT, host: instance },
      reportingComponent: COMPONENT,
      reportingInstance: instance.slice(0, LONGEST_INSTANCE),
    };
    const answer = await this.send({ method: 'POST', path: collectionPath(address), body });
    const response = answer.kind === 'response' ? answer : undefined;
    const isNameTaken = response !== undefined && isVersionConflict('create', response, address);
    if (isNameTaken && !telling.isPerhapsStored) {
      // By another process.
      telling.name = undefined;
      return false;
    }
    if (response?.status !== 201 && !isNameTaken) {
      telling.isPerhapsStored ||=
        response === undefined ? answer.kind === 'unanswered' : !provesNotApplied(response);
      return this.failed(answer, 'create', address);
    }
    this.stored.set(telling.key, { name: address.name, count: 1, lastMs: clock.now() });
    const [oldest] = this.stored.keys();
    if (this.stored.size > MOST_REMEMBERED) this.stored.delete(oldest!);
    return true;
  }

  /** Asked for each event that is stored, as the lease may have been created again. `kubectl describe` looks for events by it. Without one they are in `kubectl get events` alone. */
  private async uidOf(namespace: string, lease: string): Promise<string | undefined> {
    const answer = await this.send({
      method: 'GET',
      path: objectPath(leaseAddress(namespace, lease)),
    });
    if (answer.kind !== 'response' || answer.status !== 200) return undefined;
    const { uid } = partOf(parseDocument(answer.body), 'metadata');
    return typeof uid === 'string' ? uid : undefined;
  }

  private async namespaceOf(): Promise<string | undefined> {
    try {
      return await this.its.namespace();
    } catch {
      // The election says what is wrong with the kubeconfig.
      return undefined;
    }
  }

  private send(request: ApiRequest): Promise<ApiAnswer> {
    const { requestTimeoutMs: timeoutMs } = this.its;
    return this.transport.send(request, { timeoutMs, signal: this.stop.signal });
  }

  /** A refusal would come again; it is reported with the rule to add, once. */
  private failed(answer: ApiAnswer, verb: Verb, address: ObjectAddress): boolean {
    if (this.stop.signal.aborted) return true;
    const { connection, report } = this.its;
    // The name of an event says nothing, and each has another one.
    const context = {
      verb,
      address: { ...address, name: '' },
      describeCredentials: () => connection.describeCredentials(),
    };
    const error =
      answer.kind === 'response'
        ? explainResponse(context, answer)
        : explainNoAnswer(context, answer);
    const kind = answer.kind === 'response' ? `${verb} ${answer.status}` : answer.kind;
    if (!this.reported.has(kind)) report(error);
    this.reported.add(kind);
    return error.reason === 'rejected' && error.retryAfterMs === undefined;
  }

  private nowText(): string {
    return new Date(wallMs(this.its.clock)).toISOString().replace(/\.\d+Z$/, 'Z');
  }

  /** Another process may choose the same one, if it tells of the same lease in the same millisecond. */
  private nameFor(lease: string): string {
    const micros = Math.round(wallMs(this.its.clock) * 1_000) + (this.names += 1);
    return `${lease}.${micros.toString(16)}`;
  }
}
