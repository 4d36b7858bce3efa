import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Part } from '../../lib/dashboard/dashboard-view.js';
import { violations } from './support/axe.js';
import { useBrowser } from './support/browser.js';
import { FakeDashboard } from './support/fake-dashboard.js';
import { crowdedScene, emptyScene, failingScene, fullScene, rolesScene } from './support/scenes.js';

const open = useBrowser();

type Step = (page: Page) => Promise<unknown>;

const openJob: Step = (page) => page.getByRole('button', { name: /send-invoices/ }).click();

/** What can be on the screen, and how a person comes there. */
const SCREENS: Readonly<Record<string, { parts: () => Part[]; steps: readonly Step[] }>> = {
  'all that it can show': {
    parts: fullScene,
    steps: [
      (page) => page.locator('summary').first().click(),
      (page) => page.locator('summary').last().click(),
    ],
  },
  'what can be wrong': { parts: failingScene, steps: [] },
  'an empty role': { parts: emptyScene, steps: [] },
  'several roles': { parts: rolesScene, steps: [] },
  'many jobs': { parts: () => crowdedScene(undefined, 100), steps: [] },
  'a job': { parts: fullScene, steps: [openJob] },
  'a question': {
    parts: fullScene,
    steps: [openJob, (page) => page.getByRole('button', { name: 'Suspend…' }).click()],
  },
};

const servers = new Map<string, { server: FakeDashboard; url: string }>();
beforeAll(async () => {
  for (const [name, { parts }] of Object.entries(SCREENS)) {
    const server = new FakeDashboard();
    server.say(...parts());
    servers.set(name, { server, url: await server.start() });
  }
});
afterAll(async () => {
  for (const { server } of servers.values()) await server.stop();
});

describe('when the page is on a laptop or a phone, in the light or the dark theme', () => {
  it.each(Object.keys(SCREENS))('axe finds nothing wrong with %s', async (name) => {
    const page = await open(servers.get(name)!.url);
    await page.locator('.leader').waitFor();
    for (const step of SCREENS[name]!.steps) await step(page);
    expect(await violations(page)).toEqual([]);
  });

  it('axe finds nothing wrong with a lost connection', async () => {
    const server = new FakeDashboard();
    server.say(...fullScene());
    const page = await open(await server.start());
    await page.locator('.leader').waitFor();
    await server.stop();
    await page.locator('.notice').waitFor();
    expect(await violations(page)).toEqual([]);
  });
});
