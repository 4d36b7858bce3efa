import type { ContainerMark, ContainerUnknown } from '../core/container.js';
import type { Clock, Timer } from '../core/clock.js';
import { onAbort } from '../core/abort-signal.js';
import { MembersUnknownError } from '../core/errors.js';
import type { Member, MemberObserver, MemberSource } from '../core/member.js';
import { pause } from '../kubernetes/pause.js';
import { HEADERS_LIMIT_MS, type WatchEnd } from '../kubernetes/watch-attempt.js';
import { ownContainer, type ProcessFacts } from './container-death.js';
import { type ObservedPod, selectorFor } from './pod.js';
import type { PodApi } from './pod-api.js';

export interface PodMembersOptions {
  readonly api: PodApi;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Undefined: the labels of this process's pod decide. */
  readonly labelSelector: string | undefined;
  /** Of messages: what this process takes for the name of its pod, and where that comes from. */
  readonly podName: string;
  readonly isPodNameCertain: boolean;
  /** What the process knows of itself. Asked at each use, as it may have been restored from a checkpoint (R24). */
  readonly facts: () => ProcessFacts;
}

/** Bookmarks come about once a minute, also while no pod changes. */
const SILENCE_LIMIT_MS = 90_000;
/** A restart of the API server takes less; what was known is trusted for that long. */
const TRUSTED_FOR_MS = 10_000;
const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** Then the version to continue from is doubted, e.g. as etcd was restored to an older state. */
const DOUBTED_AFTER = 3;

/** Missing rights, and too many requests. */
const SAYS_NOTHING_OF_VERSIONS: ReadonlySet<number | undefined> = new Set([401, 403, 429]);

const NOT_REOPENED = 'the watch of the pods ended and could not be opened again.';

/** Why an attempt is over. */
interface Interruption {
  readonly error: Error | undefined;
  readonly retryAfterMs: number;
}

/** The own pod, and the selector of all. */
interface Self {
  readonly uid: string;
  readonly selector: string;
}

/**
 * The pods that match a selector, by one list and one watch that continues where the last one ended. The members are
 * known while the watch is open, and for a short while after.
 */
export class PodMembers implements MemberSource {
  private observer: MemberObserver | undefined;
  private self: Self | undefined;
  private readonly pods = new Map<string, ObservedPod>();
  /** Up to which the pods are known; undefined if they have to be listed. */
  private version: string | undefined;
  /** Attempts in a row that achieved nothing (R21). */
  private useless = 0;
  private unopened = 0;
  private isOpen = false;
  private isKnown = false;
  private told: readonly Member[] = [];
  private lastError: string | undefined;
  /** Of the last attempts since the watch was open. */
  private lastCause: Error | undefined;
  /** While what was known is trusted though no watch is open. */
  private trust: Timer | undefined;
  private readonly ended = new AbortController();

  constructor(private readonly options: PodMembersOptions) {}

  start(observer: MemberObserver): void {
    this.observer = observer;
    void this.run();
  }

  async ownContainer(signal: AbortSignal): Promise<ContainerMark | ContainerUnknown> {
    const answer = await this.options.api.ownPodObject(signal);
    if (answer.kind === 'failed') {
      return { why: `its pod cannot be read: ${answer.error.message}`, mayPass: true };
    }
    return ownContainer(answer.value, this.options.facts());
  }

  async close(): Promise<void> {
    this.ended.abort(new Error('the watch of members was ended'));
    this.trust?.cancel();
    this.options.api.close();
  }

  private async run(): Promise<void> {
    while (!this.ended.signal.aborted) {
      const end = await this.attempt();
      if (this.ended.signal.aborted) return;
      this.interrupted(end);
      await pause(this.options.clock, this.pauseMs(end), this.ended.signal);
    }
  }

  /** From what is missing to the end of a watch. */
  private async attempt(): Promise<Interruption> {
    if (this.self === undefined) {
      const self = await this.findSelf();
      if ('error' in self) return this.failed(self);
      this.self = self;
    }
    const isListNew = this.version === undefined;
    if (isListNew) {
      const list = await this.list(this.self.selector);
      if (list !== undefined) return this.failed(list);
    }
    return this.watch(this.self.selector, this.version!, isListNew);
  }

  private async findSelf(): Promise<Self | Interruption> {
    const { api, labelSelector } = this.options;
    const answer = await api.ownPod(this.ended.signal);
    if (answer.kind === 'failed') {
      const isMissing = answer.status === 404;
      const found = interruption(answer);
      return isMissing ? { ...found, error: new Error(this.describeMissingPod(answer)) } : found;
    }
    const { member, labels } = answer.value;
    const selector = labelSelector ?? selectorFor(labels);
    if (selector !== undefined) return { uid: member.uid, selector };
    const error = new Error(
      `the pod ${member.name} has no label that all pods of its deployment share. ` +
        "Give them one, or name the pods by the option members: { labelSelector: 'app=…' }.",
    );
    return { error, retryAfterMs: 0 };
  }

  private describeMissingPod({ error }: { readonly error: Error }): string {
    const { podName, isPodNameCertain } = this.options;
    const remedy = isPodNameCertain
      ? 'Set POD_NAME and POD_NAMESPACE from the fields metadata.name and metadata.namespace of the pod'
      : 'POD_NAME is not set, so the host name was taken for the name of the pod. Set POD_NAME from the field ' +
        'metadata.name of the pod (env: valueFrom: fieldRef)';
    const said = error.message.replace(/[^.!?]$/, '$&.');
    return `${said} This process takes ${podName} for the name of its pod, and there is no such pod. ${remedy}.`;
  }

  /** Undefined once all pages are there. A list that breaks off changes nothing of what is known. */
  private async list(selector: string): Promise<Interruption | undefined> {
    const listed = new Map<string, ObservedPod>();
    let version: string;
    let next: string | undefined;
    do {
      const answer = await this.options.api.page(selector, next, this.ended.signal);
      if (answer.kind === 'failed') return interruption(answer);
      for (const pod of answer.value.pods) listed.set(pod.member.uid, pod);
      version = answer.value.resourceVersion;
      next = answer.value.next;
    } while (next !== undefined);
    this.pods.clear();
    for (const [uid, pod] of listed) this.pods.set(uid, pod);
    for (const pod of listed.values()) this.tellEnds(pod);
    this.version = version;
    return undefined;
  }

  private async watch(
    selector: string,
    version: string,
    isListNew: boolean,
  ): Promise<Interruption> {
    const { api, clock } = this.options;
    const limit = new AbortController();
    const { signal: ended } = this.ended;
    const stopListening = onAbort(ended, () => limit.abort(ended.reason));
    const startedAt = clock.now();
    let changes = 0;
    let silence: Timer | undefined;
    const hear = (limitMs: number) => {
      silence?.cancel();
      const silent = () => limit.abort(new Error(`nothing was heard for ${limitMs} ms`));
      silence = clock.setTimer(silent, limitMs);
    };
    const heard = () => hear(SILENCE_LIMIT_MS);
    const change = (pod: ObservedPod, apply: () => void) => {
      changes += 1;
      apply();
      this.version = pod.resourceVersion;
      // Also of a pod that is deleted: its last status counts, its absence does not.
      this.tellEnds(pod);
      this.tell();
    };
    hear(HEADERS_LIMIT_MS);
    const result = await api.watch(
      selector,
      version,
      {
        opened: () => {
          if (this.version !== undefined) return this.opened();
          // The trust in the list is over, and it is not told again. The server answers, so a new one is asked for soon.
          this.useless = 0;
          limit.abort(new Error('the pods are listed again'));
        },
        heard,
        changed: (pod) => change(pod, () => this.pods.set(pod.member.uid, pod)),
        deleted: (pod) => change(pod, () => this.pods.delete(pod.member.uid)),
        bookmark: (resourceVersion) => (this.version = resourceVersion),
      },
      limit.signal,
    );
    silence?.cancel();
    stopListening();
    const isUseful = this.isOpen && (changes > 0 || clock.now() - startedAt >= SHORTEST_PAUSE_MS);
    if (isUseful) this.useless = 0;
    // A version that is too old says nothing about the server, unless it has just come from there.
    else if (result.status !== 410 || isListNew) this.useless += 1;
    return this.watchEnded(result);
  }

  private watchEnded(end: WatchEnd): Interruption {
    if (this.isOpen) this.unopened = 0;
    else if (!SAYS_NOTHING_OF_VERSIONS.has(end.status)) this.unopened += 1;
    this.isOpen = false;
    // It was to be listed again; why the members are unknown has been said.
    if (this.version === undefined) return interruption({});
    if (end.status === 410 || this.unopened >= DOUBTED_AFTER) this.version = undefined;
    if (this.unopened >= DOUBTED_AFTER) this.unopened = 0;
    return interruption(end);
  }

  private failed(end: Interruption): Interruption {
    this.useless += 1;
    return end;
  }

  private opened(): void {
    this.isOpen = true;
    this.lastCause = undefined;
    this.trust?.cancel();
    this.trust = undefined;
    this.tell();
  }

  /** Also a refusal may pass: an API server that has just started refuses what its Roles grant. */
  private interrupted({ error }: Interruption): void {
    this.lastCause = error ?? this.lastCause;
    if (this.isKnown) {
      const tooOld = () => {
        this.version = undefined;
        this.tellUnknown(this.lastCause ?? new Error(NOT_REOPENED));
      };
      this.trust ??= this.options.clock.setTimer(tooOld, TRUSTED_FOR_MS);
    } else if (error !== undefined) this.tellUnknown(error);
  }

  /** The first attempt after a watch that was of use comes at once, but not of all replicas at the same instant. */
  private pauseMs({ retryAfterMs }: Interruption): number {
    const { random } = this.options;
    if (this.useless === 0) return random() * SHORTEST_PAUSE_MS;
    const doubled = SHORTEST_PAUSE_MS * 2 ** (this.useless - 1);
    const usual = Math.min(doubled, LONGEST_PAUSE_MS) * (0.8 + 0.2 * random());
    return Math.max(usual, Math.min(retryAfterMs, LONGEST_PAUSE_MS));
  }

  private tellEnds({ endedContainers }: ObservedPod): void {
    for (const end of endedContainers) this.observer?.containerEnded?.(end);
  }

  private tell(): void {
    const { uid: ownUid, selector } = this.self!;
    if (!this.pods.has(ownUid)) {
      const { podName } = this.options;
      const count = this.pods.size === 1 ? '1 pod' : `${this.pods.size} pods`;
      this.tellUnknown(
        new Error(
          `the selector ${selector} matches ${count}, and this pod (${podName}) is not among them. ` +
            'Correct the option members: { labelSelector }, or the labels of the pod. A pod that was deleted by force ' +
            'is not among them either while its process still runs.',
        ),
      );
      return;
    }
    const members = [...this.pods.values()]
      .filter(({ isOver, member }) => !isOver || member.uid === ownUid)
      .map(({ member }): Member => Object.freeze({ ...member, isSelf: member.uid === ownUid }));
    const isNews = !this.isKnown || !areEqual(members, this.told);
    this.isKnown = true;
    this.lastError = undefined;
    this.told = members;
    if (isNews) this.observer?.members(members);
  }

  private tellUnknown(cause: Error): void {
    this.isKnown = false;
    this.trust?.cancel();
    this.trust = undefined;
    if (cause.message === this.lastError) return;
    this.lastError = cause.message;
    this.observer?.unknown(new MembersUnknownError(cause.message, { cause }));
  }
}

function interruption({ error }: Pick<WatchEnd, 'error'>): Interruption {
  return { error, retryAfterMs: error?.retryAfterMs ?? 0 };
}

function areEqual(some: readonly Member[], others: readonly Member[]): boolean {
  return JSON.stringify(some) === JSON.stringify(others);
}
