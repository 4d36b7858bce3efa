import { LockRequestError } from '../core/errors.js';
import { isJsonObject, type JsonDocument } from '../core/json-document.js';
import { messageOf } from '../core/thrown-value.js';
import {
  explainNoAnswer,
  explainResponse,
  explainUnusable,
} from '../kubernetes/answer-messages.js';
import type { ClusterConnection } from '../kubernetes/connection/cluster-connection.js';
import { ClusterAgent } from '../kubernetes/http/agent.js';
import { type ApiRequest, KubernetesTransport } from '../kubernetes/kubernetes-transport.js';
import {
  collectionPath,
  objectPath,
  podAddress,
  type RequestContext,
} from '../kubernetes/object-request.js';
import { type WatchEnd, type WatchEvent, watchOnce } from '../kubernetes/watch-attempt.js';
import { type ObservedPod, parsePod } from './pod.js';

/** Some of the pods that a selector matches. */
export interface PodPage {
  readonly pods: readonly ObservedPod[];
  /** Of the whole list: a watch continues from it. */
  readonly resourceVersion: string;
  /** Asks for the next page; undefined on the last one. */
  readonly next: string | undefined;
}

/** What was asked for, or why it is not known. */
export type PodAnswer<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: LockRequestError; readonly status?: number };

export interface PodWatchCalls {
  readonly opened: () => void;
  /** Anything came: the connection is alive. */
  readonly heard: () => void;
  readonly changed: (pod: ObservedPod) => void;
  readonly deleted: (pod: ObservedPod) => void;
  readonly bookmark: (resourceVersion: string) => void;
}

/** What is asked of the API server. No promise rejects. */
export interface PodApi {
  ownPod(signal: AbortSignal): Promise<PodAnswer<ObservedPod>>;
  /** All of it, as it is stored now. */
  ownPodObject(signal: AbortSignal): Promise<PodAnswer<JsonDocument>>;
  page(
    selector: string,
    next: string | undefined,
    signal: AbortSignal,
  ): Promise<PodAnswer<PodPage>>;
  /** One watch from this version on, to its end. */
  watch(
    selector: string,
    resourceVersion: string,
    calls: PodWatchCalls,
    signal: AbortSignal,
  ): Promise<WatchEnd>;
  close(): void;
}

export interface ApiServerPodsOptions {
  /** Belongs to a lock, which closes it. */
  readonly connection: ClusterConnection;
  readonly namespace: () => Promise<string>;
  readonly podName: string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** A pod has some ten kilobytes, and up to 1.5 MiB. */
const PODS_PER_PAGE = 100;
const MAX_PAGE_BYTES = 64 * 1024 * 1024;
/** A list waits for nothing else, and a slow server is not asked sooner by giving up. */
const REQUEST_TIMEOUT_MS = 10_000;

export class ApiServerPods implements PodApi {
  private readonly transport: KubernetesTransport;
  private readonly agent = new ClusterAgent({ keepAlive: false });

  constructor(private readonly options: ApiServerPodsOptions) {
    const { connection } = options;
    this.transport = new KubernetesTransport({
      access: () => connection.access(),
      refresh: () => connection.refresh(),
      describeCredentials: () => connection.describeCredentials(),
    });
  }

  ownPod(signal: AbortSignal): Promise<PodAnswer<ObservedPod>> {
    return this.ask('get', this.options.podName, {}, parsePod, signal);
  }

  /** Without a resourceVersion it comes from etcd and not from a cache (A6). */
  ownPodObject(signal: AbortSignal): Promise<PodAnswer<JsonDocument>> {
    return this.ask('get', this.options.podName, {}, parseObject, signal);
  }

  /** Without a resourceVersion the list comes from etcd and not from a cache (A6). */
  page(
    selector: string,
    next: string | undefined,
    signal: AbortSignal,
  ): Promise<PodAnswer<PodPage>> {
    const query = {
      labelSelector: selector,
      limit: String(PODS_PER_PAGE),
      ...(next !== undefined && { continue: next }),
    };
    return this.ask('list', '', query, parsePage, signal);
  }

  watch(
    selector: string,
    resourceVersion: string,
    calls: PodWatchCalls,
    signal: AbortSignal,
  ): Promise<WatchEnd> {
    const { connection, namespace, random } = this.options;
    return watchOnce({
      connection,
      agent: this.agent,
      signal,
      resolveAddress: async () => podAddress(await namespace()),
      query: () => ({
        labelSelector: selector,
        resourceVersion,
        allowWatchBookmarks: 'true',
        // Five to ten minutes, spread so that replicas do not all come back together.
        timeoutSeconds: String(300 + Math.floor(random() * 300)),
      }),
      opened: calls.opened,
      heard: calls.heard,
      parse: (event) => reportOf(event, calls),
    });
  }

  close(): void {
    this.transport.close();
    this.agent.destroy();
  }

  private async ask<T>(
    verb: 'get' | 'list',
    name: string,
    query: Readonly<Record<string, string>>,
    parse: (json: unknown) => T,
    signal: AbortSignal,
  ): Promise<PodAnswer<T>> {
    const { connection } = this.options;
    let context: RequestContext;
    try {
      const address = podAddress(await this.options.namespace(), name);
      context = { verb, address, describeCredentials: () => connection.describeCredentials() };
    } catch (cause) {
      return failed(
        new LockRequestError(`${verb} pods: ${messageOf(cause)}`, { reason: 'unreachable', cause }),
      );
    }
    const { address } = context;
    const path = verb === 'get' ? objectPath(address) : collectionPath(address);
    const request: ApiRequest = { method: 'GET', path, query, maxBodyBytes: MAX_PAGE_BYTES };
    const answer = await this.transport.send(request, { timeoutMs: REQUEST_TIMEOUT_MS, signal });
    if (answer.kind !== 'response') return failed(explainNoAnswer(context, answer));
    const { status } = answer;
    if (status !== 200) return failed(explainResponse(context, answer), status);
    try {
      return { kind: 'answer', value: parse(JSON.parse(answer.body)) };
    } catch (cause) {
      return failed(explainUnusable(context, answer, messageOf(cause)));
    }
  }
}

function failed(error: LockRequestError, status?: number): PodAnswer<never> {
  return { kind: 'failed', error, ...(status !== undefined && { status }) };
}

function parseObject(json: unknown): JsonDocument {
  if (!isJsonObject(json)) throw new Error('is not a JSON object');
  return json;
}

function parsePage(json: unknown): PodPage {
  const { items, metadata } = isJsonObject(json) ? json : {};
  if (!Array.isArray(items) || !isJsonObject(metadata)) throw new Error('is no list of pods');
  const { resourceVersion, continue: next } = metadata;
  if (typeof resourceVersion !== 'string') throw new Error('has no resourceVersion');
  return {
    pods: items.map(parsePod),
    resourceVersion,
    next: typeof next === 'string' && next !== '' ? next : undefined,
  };
}

function reportOf(event: WatchEvent, calls: PodWatchCalls): () => void {
  if (event.kind === 'changed') {
    const pod = parsePod(event.object);
    return () => (event.type === 'DELETED' ? calls.deleted(pod) : calls.changed(pod));
  }
  const { metadata } = isJsonObject(event.object) ? event.object : {};
  const version = isJsonObject(metadata) ? metadata['resourceVersion'] : undefined;
  return () => {
    if (typeof version === 'string' && version !== '') calls.bookmark(version);
  };
}
