import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { LAPTOP, PHONE, PICTURES, useBrowser, WALL } from './support/browser.js';
import { FakeDashboard } from './support/fake-dashboard.js';
import { emptyScene, failingScene, fullScene, rolesScene } from './support/scenes.js';

const open = useBrowser();

/** `npm run pictures` keeps those of the README in docs/images. */
const folder = process.env['PICTURES'] ?? PICTURES;
const isOfReadme = process.env['PICTURES'] !== undefined;

const SIZES = { laptop: LAPTOP, phone: PHONE, wall: WALL };
const SCENES = { full: fullScene, empty: emptyScene, failing: failingScene, roles: rolesScene };
type Picture = readonly [
  scene: keyof typeof SCENES,
  size: keyof typeof SIZES,
  theme: 'light' | 'dark',
  name?: string,
  step?: (page: Page, server: FakeDashboard) => Promise<unknown>,
];

const openJob = (page: Page) => page.getByRole('button', { name: /send-invoices/ }).click();

const README: readonly Picture[] = [
  ['full', 'laptop', 'light', 'dashboard-light'],
  ['full', 'laptop', 'dark', 'dashboard-dark'],
  ['full', 'phone', 'light', 'dashboard-phone'],
];

const ALL: readonly Picture[] = [
  ...(['full', 'failing'] as const).flatMap((scene) =>
    (['laptop', 'phone', 'wall'] as const).flatMap((size) =>
      (['light', 'dark'] as const).map((theme): Picture => [scene, size, theme]),
    ),
  ),
  ['empty', 'laptop', 'light'],
  ['empty', 'phone', 'dark'],
  ['roles', 'laptop', 'light'],
  ['roles', 'phone', 'light'],
  ['full', 'laptop', 'light', 'job', openJob],
  ['full', 'phone', 'dark', 'job-phone', openJob],
  [
    'full',
    'laptop',
    'light',
    'question',
    (page) => page.getByRole('button', { name: 'Hand over to…' }).click(),
  ],
  ['full', 'laptop', 'dark', 'lost', (_page, server) => server.stop()],
];

const servers: FakeDashboard[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

describe('when pictures are taken', () => {
  it.each(isOfReadme ? README : ALL)(
    'has one of %s on a %s in the %s theme',
    async (...picture) => {
      const [scene, size, theme, name = `${scene}-${size}-${theme}`, step] = picture;
      mkdirSync(folder, { recursive: true });
      const server = new FakeDashboard();
      servers.push(server);
      server.say(...SCENES[scene]());
      const page = await open(await server.start(), {
        viewport: SIZES[size],
        colorScheme: theme,
        timezoneId: 'UTC',
      });
      await page.locator('.leader').waitFor();
      await step?.(page, server);
      if (name === 'lost') await page.locator('.notice').waitFor();
      const path = join(folder, `${name}.png`);
      await page.screenshot({
        path,
        fullPage: size === 'phone' && step === undefined && !isOfReadme,
      });
      expect(statSync(path).size).toBeGreaterThan(5_000);
      const overflow = () =>
        document.documentElement.scrollWidth - document.documentElement.clientWidth;
      expect(await page.evaluate(overflow)).toBe(0);
    },
  );
});
