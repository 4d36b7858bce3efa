import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { LAPTOP, PHONE } from './browser.js';

const SIZES = { laptop: LAPTOP, phone: PHONE };
const THEMES = ['light', 'dark'] as const;

/** What axe finds wrong with the page as it is, in each theme and size. */
export async function violations(page: Page): Promise<string[]> {
  const found: string[] = [];
  await page.evaluate(axe.source);
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of THEMES) {
      await page.emulateMedia({ colorScheme });
      // Widths that are measured are drawn in the next frame.
      await page.evaluate(() => new Promise(requestAnimationFrame));
      const result = await page.evaluate(() =>
        (window as unknown as { axe: typeof axe }).axe.run(document, {
          resultTypes: ['violations'],
          runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
        }),
      );
      for (const { id, nodes } of result.violations) {
        found.push(
          ...nodes.map(({ target }) => `${size}, ${colorScheme}: ${id} at ${target.join(' ')}`),
        );
      }
    }
  }
  return found;
}
