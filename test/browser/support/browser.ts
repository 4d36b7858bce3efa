import { mkdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

export const LAPTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };
export const WALL = { width: 2560, height: 1440 };

/** Where pictures of each run are kept; no one compares them. */
export const PICTURES = 'test/browser/pictures';

export interface OpenPage extends Page {
  /** What the browser complained about: errors of scripts, of the console, and of the policy. */
  readonly complaints: string[];
}

/** Opens pages in the one browser, and closes them after each test unless they are for all. */
export function useBrowser({ closesAfterEach = true } = {}) {
  let browser: Browser;
  beforeAll(async () => {
    mkdirSync(PICTURES, { recursive: true });
    browser = await chromium.connect(process.env['CHROMIUM_ENDPOINT']!);
  });
  afterEach(async () => {
    if (!closesAfterEach) return;
    for (const context of browser.contexts()) await context.close();
  });
  afterAll(() => browser.close());

  return async (url: string, options: BrowserContextOptions = {}): Promise<OpenPage> => {
    const context = await browser.newContext({ viewport: LAPTOP, ...options });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      const isOfNetwork = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !isOfNetwork) complaints.push(message.text());
    });
    await page.exposeFunction('complain', (text: string) => complaints.push(text));
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        const { complain } = window as unknown as { complain: (text: string) => void };
        complain(`${violatedDirective} forbids ${blockedURI}`);
      });
    });
    await page.goto(url);
    return Object.assign(page, { complaints });
  };
}
