/**
 * One application with NestJS and one elector, or none: tells by JSON lines what it has cost so far, and its use of the
 * processor and of memory at each SIGUSR2.
 */
import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import '@nestjs/platform-express';
import 'rxjs';
import { elections, type Elected } from './elections.js';

export interface ReplicaOrder {
  readonly election: string;
  readonly leaseName: string;
  readonly namespace: string;
  readonly identity: string;
  /** A file that exports `load`, for the package of the elector and what it asks of it. */
  readonly loader: string;
  /** Only loads the package, or this file in its place. */
  readonly loadsOnly?: string | true;
}

/** What it prints, each once but for the last. */
export interface Told {
  /** Loading the elector's package, after NestJS. */
  readonly loaded?: Cost;
  /** From `NestFactory.create()` until `init()` has returned. */
  readonly ready?: Cost;
  /** From before the package was loaded until it led. */
  readonly leads?: Cost;
  readonly used?: Use;
}

export interface Cost {
  readonly ms: number;
  /** Of all threads. */
  readonly cpuMs: number;
}

export interface Use {
  /** When it was asked, and once the garbage had been collected, which is no work of the application. */
  readonly asked: Spent;
  readonly collected: Spent;
  readonly rssMiB: number;
}

/** Since the process began. */
export interface Spent {
  readonly atMs: number;
  readonly cpuMs: number;
}

/** What the collector finds is no cost; what a first collection has found only weakly held goes with the second. */
const COLLECTIONS = 2;
const BETWEEN_COLLECTIONS_MS = 250;

const order = JSON.parse(process.argv[2]!) as ReplicaOrder;
const { load } = (await import(pathToFileURL(order.loader).href)) as {
  readonly load: (name: string) => Promise<unknown>;
};

@Injectable()
class Plans {
  closed = 0;

  close(): number {
    return (this.closed += 1);
  }
}

@Controller('plans')
class PlansController {
  constructor(private readonly plans: Plans) {}

  @Get()
  count(): number {
    return this.plans.closed;
  }
}

function tell(told: Told): void {
  console.log(JSON.stringify(told));
}

function clock(): () => Cost {
  const [since, used] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(used);
    return { ms: performance.now() - since, cpuMs: (user + system) / 1_000 };
  };
}

function spent(): Spent {
  const { user, system } = process.cpuUsage();
  return { atMs: performance.now(), cpuMs: (user + system) / 1_000 };
}

async function use(): Promise<Use> {
  const asked = spent();
  for (let count = 0; count < COLLECTIONS; count += 1) {
    globalThis.gc?.();
    await delay(BETWEEN_COLLECTIONS_MS);
  }
  return { asked, collected: spent(), rssMiB: process.memoryUsage.rss() / 2 ** 20 };
}

const elected: Elected = { ...order, load, leads: () => tell({ leads: sinceLoading() }) };
const { packages, parts } = elections[order.election]!;
const sinceLoading = clock();
if (typeof order.loadsOnly === 'string') await load(order.loadsOnly);
else for (const name of packages) await load(name);
tell({ loaded: sinceLoading() });
if (order.loadsOnly === undefined) {
  const { imports = [], providers = [] } = await parts(elected);

  @Module({ imports, controllers: [PlansController], providers: [Plans, ...providers] })
  class AppModule {}

  const sinceCreating = clock();
  const app = await NestFactory.create(AppModule, { logger: false });
  await app.init();
  tell({ ready: sinceCreating() });
  // Without an elector nothing else would keep the process.
  const lasting = setInterval(() => {}, 60_000);
  process.on('SIGUSR2', () => void use().then((used) => tell({ used })));
  process.on('SIGTERM', () => {
    clearInterval(lasting);
    void app.close();
  });
}
