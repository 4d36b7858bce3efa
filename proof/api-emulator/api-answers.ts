import { KINDS, type Target, targetOf } from './api-routes.js';
import { ClusterState } from './cluster-state.js';
import type { DeleteOptions } from './delete-options.js';
import { fieldSelector } from './field-selector.js';
import { apiVersionOf } from './kind-names.js';
import type { Body } from './object-kind.js';
import { ObjectStore } from './object-store.js';
import type { LoggedRequest } from './request-log.js';
import { type Answer, badRequest, ok, statusAnswer } from './status-body.js';

/** What the server answers if nothing goes wrong. */
export class ApiAnswers {
  private readonly stores: ReadonlyMap<string, ObjectStore>;

  constructor(readonly state = new ClusterState()) {
    this.stores = new Map(KINDS.map((kind) => [kind.kind, new ObjectStore(kind, state)]));
  }

  storeOf(kind: string): ObjectStore {
    const store = this.stores.get(kind);
    if (store === undefined) throw new Error(`there is no kind ${kind}`);
    return store;
  }

  answer(request: LoggedRequest): Answer {
    const target = targetOf(request.path);
    if (target === null) return { status: 404, body: '404 page not found\n' };
    const { method, body } = request;
    if (body === undefined && ['POST', 'PUT', 'PATCH'].includes(method)) {
      const { kind } = target.kind;
      return badRequest(
        `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind`,
      );
    }
    return target.name === undefined
      ? this.answerOfCollection(target, request)
      : this.answerOfObject(target, target.name, request);
  }

  private answerOfCollection(target: Target, { method, query, body }: LoggedRequest): Answer {
    const { kind, namespace } = target;
    const store = this.storeOf(kind.kind);
    if (method === 'POST') return store.create(namespace, body as Body, managerOf(query));
    if (method !== 'GET') return notAllowed();
    const { matches, fault } = fieldSelector(kind, query.get('fieldSelector') ?? '');
    // As on the server, the objects of a list do not repeat kind and apiVersion.
    const unnamed = { kind: undefined, apiVersion: undefined };
    const found = store.list(namespace).filter(matches);
    const items = found.map((object) => ({ ...object, ...unnamed }));
    const metadata = { resourceVersion: store.resourceVersion };
    return (
      fault ?? ok({ kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata, items })
    );
  }

  private answerOfObject(target: Target, name: string, request: LoggedRequest): Answer {
    const { kind, namespace, subresource } = target;
    const { method, query, headers } = request;
    const store = this.storeOf(kind.kind);
    const body = (request.body ?? {}) as Body;
    const part = subresource === 'status' ? 'status' : 'object';
    switch (method) {
      case 'GET':
        return store.read(namespace, name);
      case 'PUT':
        return store.update(namespace, name, body, managerOf(query), part);
      case 'PATCH':
        return headers['content-type'] === 'application/merge-patch+json'
          ? store.patch(namespace, name, body, managerOf(query), part)
          : statusAnswer(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
      case 'DELETE':
        return subresource === undefined
          ? store.delete(namespace, name, deleteOptions(query, body))
          : notAllowed();
      default:
        return notAllowed();
    }
  }
}

function managerOf(query: URLSearchParams): string {
  return query.get('fieldManager') ?? 'unknown';
}

function deleteOptions(query: URLSearchParams, body: Body): DeleteOptions {
  const seconds = query.get('gracePeriodSeconds');
  return { ...body, ...(seconds !== null && { gracePeriodSeconds: Number(seconds) }) };
}

function notAllowed(): Answer {
  const why = 'the server does not allow this method on the requested resource';
  return statusAnswer(405, 'MethodNotAllowed', why, {});
}
