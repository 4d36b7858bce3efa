import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PAGE } from '../../lib/dashboard/page/page.generated.js';
import { type OpenPage, useBrowser } from './support/browser.js';
import { FakeDashboard } from './support/fake-dashboard.js';
import { crowdedScene, jobPart, jobView } from './support/scenes.js';

const ROLE = 'plan-scheduler';
const open = useBrowser();
const server = new FakeDashboard();
let url: string;

beforeAll(async () => {
  server.say(...crowdedScene());
  url = await server.start();
});
afterAll(() => server.stop());

/** What the browser measured: not asserted, as it depends on the machine. */
async function figures(page: OpenPage): Promise<Record<string, number>> {
  return page.evaluate(() => {
    const { longTasks } = window as unknown as { longTasks: number[] };
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    return {
      'first paint, ms': Math.round(paint?.startTime ?? 0),
      'long tasks': longTasks.length,
      'longest task, ms': Math.round(Math.max(0, ...longTasks)),
      'all long tasks, ms': Math.round(longTasks.reduce((sum, each) => sum + each, 0)),
      'elements in the document': document.querySelectorAll('*').length,
    };
  });
}

async function measured(): Promise<OpenPage> {
  const page = await open('about:blank');
  await page.addInitScript(() => {
    const longTasks: number[] = [];
    Object.assign(window, { longTasks });
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) longTasks.push(duration);
    }).observe({ entryTypes: ['longtask'] });
  });
  await page.goto(url);
  await page.getByText('All 1,000').waitFor();
  return page;
}

const elements = (page: OpenPage) => page.evaluate(() => document.querySelectorAll('*').length);

describe('when 1,000 jobs have run 20 times each', () => {
  it('keeps only what is seen in the document, wherever the list is', async () => {
    const page = await measured();
    console.log({ 'page, bytes': Buffer.byteLength(PAGE.html), ...(await figures(page)) });
    expect(await elements(page)).toBeLessThan(1_200);
    const list = page.locator('.rows');
    for (const share of [0.3, 0.77, 1]) {
      await list.evaluate((box, part) => {
        box.scrollTop = box.scrollHeight * part;
      }, share);
      await page.waitForFunction(() => {
        const box = document.querySelector('.rows')!.getBoundingClientRect();
        const row = document.elementFromPoint(box.left + 60, box.top + box.height / 2);
        return row?.closest('[aria-rowindex]') !== null;
      });
      expect(await elements(page)).toBeLessThan(1_200);
    }
    await page.locator('[aria-rowindex="1001"]').waitFor();
    expect(await list.locator('table').getAttribute('aria-rowcount')).toBe('1001');
  });

  it('shows the failing ones alone', async () => {
    const page = await measured();
    await page.locator('label').filter({ hasText: 'Failing 20' }).click();
    await page.locator('[aria-rowcount="21"]').waitFor();
    expect(await page.locator('.rows tbody [aria-rowindex]').count()).toBeGreaterThan(8);
  });

  it('answers a person while every job changes', async () => {
    const page = await measured();
    const timer = setInterval(() => {
      const jobs = Array.from({ length: 100 }, (_, index) =>
        jobPart(
          jobView(ROLE, `sync-tenant-${String(index * 8).padStart(4, '0')}`, {
            schedule: '* * * * *',
            intervalMs: 60_000,
            typicalMs: 900,
          }),
        ),
      );
      server.say(...jobs);
    }, 50);
    try {
      await page.getByLabel('Find a job').pressSequentially('tenant-0400');
      await page.getByText('sync-tenant-0400').waitFor();
      expect(await page.locator('.rows tbody [aria-rowindex]').count()).toBe(1);
      await page.getByRole('button', { name: 'sync-tenant-0400' }).click();
      await page.getByRole('dialog').getByText('Last 20 ticks').waitFor();
      await page.keyboard.press('Escape');
      await page.getByLabel('Find a job').fill('');
      await page.getByRole('button', { name: 'Next' }).click();
      await page.locator('[aria-sort="ascending"]', { hasText: 'Next' }).waitFor();
    } finally {
      clearInterval(timer);
    }
    console.log(await figures(page));
    expect(page.complaints).toEqual([]);
  });

  it('keeps the focus on a row that is scrolled out of view', async () => {
    const page = await measured();
    await page.locator('[data-job]').first().focus();
    const focused = () =>
      page.evaluate(() => (document.activeElement as HTMLElement).dataset['job']);
    const before = await focused();
    await page.locator('.rows').evaluate((box) => {
      box.scrollTop = box.scrollHeight / 2;
    });
    await page.locator('[aria-rowindex="500"]').waitFor();
    expect(before).toBeDefined();
    expect(await focused()).toBe(before);
  });
});
