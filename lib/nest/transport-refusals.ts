import { Catch, Injectable, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { throwError } from 'rxjs';
import { entryPointAt, type Transport } from './entry-point.js';
import { NotLeaderError } from './errors.js';
import { classMethods, hasMarkedMethods } from './method-marks.js';

/** The classes by which the optional packages recognise refusals; absent while the application has no such handler. */
interface TransportPackages {
  rpc?: { readonly RpcException: new (answer: object) => Error };
  ws?: {
    readonly WsException: new (answer: string) => Error;
    readonly BaseWsExceptionFilter: new () => ExceptionFilter;
  };
}

const packages: TransportPackages = {};

/** The refusal in the form of the transport: HTTP, GraphQL and calls take the error as it is. */
export function refusalFor(error: NotLeaderError, transports: readonly Transport[]): Error {
  const [transport] = transports;
  if (transports.length === 1 && transport === 'rpc' && packages.rpc !== undefined) {
    return new packages.rpc.RpcException(rpcAnswer(error));
  }
  if (transports.length === 1 && transport === 'ws' && packages.ws !== undefined) {
    return new packages.ws.WsException(error.getResponse().message);
  }
  return error;
}

/**
 * For handlers of microservices and gateways that throw NotLeaderError, as `assertLeader()` does. On these transports
 * Nest answers "Internal server error" for every error class but their own, and its global filters do not reach
 * gateways and hybrid applications. So each class that has such handlers gets a filter, after its own ones.
 */
@Injectable()
export class TransportRefusals {
  private readonly used = new Set<Transport>();

  /** Nest reads the filters before any hook runs. */
  constructor(modules: ModulesContainer) {
    for (const { controllers, providers } of modules.values()) {
      for (const { metatype } of controllers.values()) this.install(metatype);
      for (const { metatype, inject } of providers.values()) {
        if (!inject && isGateway(metatype)) this.install(metatype);
      }
    }
  }

  /** Imports the packages of the transports that the application has. */
  async load(): Promise<void> {
    if (this.used.has('rpc')) packages.rpc = await import('@nestjs/microservices');
    if (this.used.has('ws')) packages.ws = await import('@nestjs/websockets');
  }

  private install(metatype: unknown): void {
    if (typeof metatype !== 'function') return;
    const prototype = metatype.prototype as object | null;
    // What makes a handler of these transports is on the method.
    if (!hasMarkedMethods(prototype)) return;
    const methods = classMethods(prototype).map(({ key, method }) => ({
      method,
      transports: entryPointAt(prototype, key).transports,
    }));
    const isHttp = (transport: Transport) => transport === 'http' || transport === 'sse';
    const isClassOfHttp = methods.some(({ transports }) => transports.some(isHttp));
    for (const { method, transports } of methods) {
      const [transport] = transports;
      if (transports.length !== 1 || (transport !== 'rpc' && transport !== 'ws')) continue;
      this.used.add(transport);
      addFilter(isClassOfHttp ? method : metatype);
    }
  }
}

@Catch(NotLeaderError)
class NotLeaderFilter implements ExceptionFilter {
  catch(error: NotLeaderError, host: ArgumentsHost): unknown {
    if (host.getType() === 'ws' && packages.ws !== undefined) {
      const { BaseWsExceptionFilter, WsException } = packages.ws;
      return new BaseWsExceptionFilter().catch(new WsException(error.getResponse().message), host);
    }
    return throwError(() => rpcAnswer(error));
  }
}

const FILTERS = '__exceptionFilters__';
const FILTER = new NotLeaderFilter();

/** Nest asks the last filter first: the application's own have precedence. */
function addFilter(target: object): void {
  const filters = (Reflect.getMetadata(FILTERS, target) ?? []) as unknown[];
  if (!filters.includes(FILTER)) Reflect.defineMetadata(FILTERS, [FILTER, ...filters], target);
}

function isGateway(metatype: unknown): boolean {
  return typeof metatype === 'function' && Reflect.hasMetadata('websockets:is_gateway', metatype);
}

function rpcAnswer(error: NotLeaderError): object {
  const { message, role } = error.getResponse();
  return { status: 'error', code: error.code, message, role };
}
