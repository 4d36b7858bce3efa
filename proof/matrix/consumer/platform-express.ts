import type { INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';

/** Names its adapter: the one that Nest finds by itself is not found in a bundle. */
export function createApplication(module: Type): Promise<INestApplication> {
  const adapter = new ExpressAdapter();
  return NestFactory.create<NestExpressApplication>(module, adapter, { logger: ['error', 'warn'] });
}
