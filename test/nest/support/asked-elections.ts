import { type EventEmitter, once } from 'node:events';
import { type INestApplication, Logger, type LoggerService } from '@nestjs/common';
import { AbstractGraphQLDriver } from '@nestjs/graphql';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { firstValueFrom } from 'rxjs';
import { Elections } from './elections.js';

/** The message of a refusal, whatever the transport. */
export const ANSWER = 'Only the leader answers this request.';

class Lines implements LoggerService {
  readonly errors: unknown[] = [];
  log(): void {}
  warn(): void {}
  debug(): void {}
  error(...line: unknown[]): void {
    this.errors.push(line);
  }
}

/** Elections of applications that answer requests and messages. Keeps the errors that they log. */
export class AskedElections extends Elections {
  private readonly lines = new Lines();

  constructor() {
    super();
    Logger.overrideLogger(this.lines);
  }

  get errors(): readonly unknown[] {
    return this.lines.errors;
  }

  override async create(...given: Parameters<Elections['create']>) {
    const app = await super.create(...given);
    // Nest has put the logger of the application in its place.
    Logger.overrideLogger(this.lines);
    return app;
  }

  override async end(): Promise<void> {
    await super.end();
    Logger.overrideLogger(false);
  }

  /** The application answers over TCP besides; the first that it answers. */
  async answerOverTcp(app: INestApplication, pattern: string): Promise<unknown> {
    const options = { host: '127.0.0.1', port: 0 };
    const microservice = app.connectMicroservice({ transport: Transport.TCP, options });
    await app.startAllMicroservices();
    await app.init();
    await this.clock.settle();
    const server = microservice.unwrap<{ address(): { port: number } }>();
    const client = ClientProxyFactory.create({
      transport: Transport.TCP,
      options: { host: '127.0.0.1', port: server.address().port },
    });
    const answer = firstValueFrom(client.send(pattern, {}), { defaultValue: 'empty' });
    return answer.finally(() => client.close());
  }

  /** The application listens with gateways of `ws`; a client that is connected. */
  async openSocket(app: INestApplication): Promise<ClientSocket> {
    app.useWebSocketAdapter(new WsAdapter(app));
    await app.listen(0, '127.0.0.1');
    await this.clock.settle();
    // The package has no types of its own.
    const { WebSocket } = (await import('ws' as string)) as {
      WebSocket: new (url: string) => ClientSocket;
    };
    const socket = new WebSocket((await app.getUrl()).replace('http', 'ws'));
    await once(socket, 'open');
    return socket;
  }
}

export interface ClientSocket extends EventEmitter {
  send(text: string): void;
  terminate(): void;
}

/** What a gateway of `ws` answers to one message. */
export async function answerOf(socket: ClientSocket, event: string): Promise<unknown> {
  socket.send(JSON.stringify({ event, data: 7 }));
  const [message] = (await once(socket, 'message')) as [Buffer];
  socket.terminate();
  return JSON.parse(message.toString());
}

/** Makes the schema, which tests ask without a server. */
export class SchemaOnly extends AbstractGraphQLDriver {
  async start(): Promise<void> {}
  async stop(): Promise<void> {}
}
