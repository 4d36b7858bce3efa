import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FaultKind } from './fault.js';
import type { Answer } from './status-body.js';

export function send(response: ServerResponse, { status, body, headers }: Answer): void {
  const isText = typeof body === 'string';
  response.writeHead(status, {
    'Content-Type': isText ? 'text/plain; charset=utf-8' : 'application/json',
    ...headers,
  });
  response.end(isText ? body : JSON.stringify(body));
}

/** Does to a request what the fault says instead of answering it. */
export function misbehave(
  fault: FaultKind,
  answer: Answer,
  response: ServerResponse,
  raw: Socket,
): void {
  switch (fault.kind) {
    case 'answer':
      send(response, {
        status: fault.status,
        body: fault.body ?? '',
        headers: fault.headers ?? {},
      });
      return;
    case 'reset':
      raw.resetAndDestroy();
      return;
    case 'close':
      raw.end();
      return;
    case 'reset-in-body':
    case 'hang-in-body': {
      const text = JSON.stringify(answer.body);
      response.writeHead(answer.status, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(text),
      });
      response.write(text.slice(0, text.length / 2), () => {
        if (fault.kind === 'reset-in-body') raw.resetAndDestroy();
      });
      return;
    }
    case 'hang':
    case 'delay':
  }
}
