import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type CanActivate, type INestApplication, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ScheduleModule } from '@nestjs/schedule';
import type { Page } from 'playwright-core';
import { LeaderDashboardModule } from '../../lib/dashboard/index.js';
import { LeaderElectionModule, memoryLock } from '../../lib/index.js';
import { MemoryLeaseStore } from '../../lib/locks/memory/memory.lock.js';
import { LeaderCron, LeaderScheduleModule } from '../../lib/schedule/index.js';
import { useBrowser } from './support/browser.js';

const ROLE = 'plan-scheduler';
const open = useBrowser();

@Injectable()
class Open implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

@Injectable()
class Report {
  @LeaderCron('0 0 1 1 *', { name: 'yearly-report' })
  make(): void {}
}

const applications: INestApplication[] = [];
afterEach(async () => {
  await Promise.all(applications.splice(0).map((application) => application.close()));
});

/** A replica of an application with its real dashboard. */
async function replica(store: MemoryLeaseStore, identity: string, adapter?: FastifyAdapter) {
  @Module({
    imports: [
      ScheduleModule.forRoot(),
      LeaderElectionModule.forRoot({
        role: ROLE,
        lock: memoryLock(store),
        identity,
        members: true,
      }),
      LeaderScheduleModule,
      LeaderDashboardModule.forRoot({ guards: [Open], actions: true }),
    ],
    providers: [Report],
  })
  class AppModule {}
  const options = { logger: ['error', 'warn'] as ('error' | 'warn')[] };
  const application =
    adapter === undefined
      ? await NestFactory.create(AppModule, options)
      : await NestFactory.create(AppModule, adapter, options);
  applications.push(application);
  await application.listen(0, '127.0.0.1');
  const { port } = (application.getHttpServer() as { address(): AddressInfo }).address();
  return `http://127.0.0.1:${port}/leader`;
}

async function shows(page: Page, text: string | RegExp): Promise<void> {
  await page.locator('main').filter({ hasText: text }).first().waitFor();
}

describe('when a person opens the page that a real replica serves', () => {
  it('shows what there is, changes it, and follows it, within the policy of the server', async () => {
    const store = new MemoryLeaseStore();
    await replica(store, 'pod-a');
    const page = await open(await replica(store, 'pod-b', new FastifyAdapter()));
    await shows(page, 'Term 1');
    await shows(page, 'yearly-report');
    await page.getByRole('button', { name: /yearly-report/ }).click();
    await page.getByRole('button', { name: 'Suspend…' }).click();
    const dialog = page.getByRole('dialog').last();
    await dialog.getByRole('textbox').fill('the books are closed');
    await dialog.getByRole('button', { name: 'Suspend', exact: true }).click();
    await dialog.filter({ hasText: 'Job yearly-report is suspended' }).waitFor();
    await shows(page, 'the books are closed');
    expect(page.complaints).toEqual([]);
  });

  it('hands over from a follower, and shows the next leader', async () => {
    const store = new MemoryLeaseStore();
    await replica(store, 'pod-a');
    const page = await open(await replica(store, 'pod-b'));
    await shows(page, 'Term 1');
    await page.getByRole('button', { name: 'Step down…' }).click();
    const dialog = page.getByRole('dialog').last();
    await dialog.getByRole('button', { name: 'Step down', exact: true }).click();
    await dialog.filter({ hasText: 'pod-b leads now' }).waitFor();
    await shows(page, 'Term 2');
    expect(page.complaints).toEqual([]);
  });
});
