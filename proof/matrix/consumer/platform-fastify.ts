import type { INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';

export function createApplication(module: Type): Promise<INestApplication> {
  const adapter = new FastifyAdapter();
  return NestFactory.create<NestFastifyApplication>(module, adapter, { logger: ['error', 'warn'] });
}
