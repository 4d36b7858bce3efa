import { Logger } from '@nestjs/common';

/**
 * True in an application that `repl()` of @nestjs/core made. It is an application context like any other, and tells
 * only by the logger that it was made with.
 */
export function isRepl(): boolean {
  const { staticInstanceRef } = Logger as unknown as { readonly staticInstanceRef?: object };
  return staticInstanceRef?.constructor?.name === 'ReplLogger';
}
