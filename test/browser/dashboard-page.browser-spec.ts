import { afterEach, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { DashboardAction } from '../../lib/dashboard/dashboard-view.js';
import { useBrowser } from './support/browser.js';
import { FakeDashboard } from './support/fake-dashboard.js';
import {
  emptyScene,
  failingScene,
  fullScene,
  jobPart,
  jobView,
  keyOf,
  REPLICAS,
  rolePart,
  rolesScene,
  roleView,
  terms,
} from './support/scenes.js';

const ROLE = 'plan-scheduler';
const [, SECOND] = REPLICAS;
const open = useBrowser();

const servers: FakeDashboard[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

function fake(...parameters: ConstructorParameters<typeof FakeDashboard>): FakeDashboard {
  const server = new FakeDashboard(...parameters);
  servers.push(server);
  return server;
}

function leader(page: Page) {
  return page.locator('.leader .display').first();
}

function announced(page: Page) {
  return page.locator('#announcer');
}

/** Waits until it is shown; says whether it was. */
async function shows(page: Page, text: string | RegExp, where = 'main'): Promise<boolean> {
  await page.locator(where).filter({ hasText: text }).first().waitFor();
  return true;
}

const SECOND_LEADS = {
  identity: SECOND,
  isThisReplica: false,
  term: 19,
  since: Date.now(),
  address: null,
};

describe('when a role has a leader', () => {
  it('shows who it is, its term, and for how long it has led', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    await shows(page, 'Term 18');
    expect(await leader(page).innerText()).toBe('plan-7d9f8b6c5-x2x9k');
    expect(await page.locator('.leader .for .display').innerText()).toMatch(/^19:\d\d$/);
  });

  it('violates no policy and complains about nothing', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    await page.getByRole('button', { name: /send-invoices/ }).click();
    await page.getByRole('button', { name: 'Suspend…' }).click();
    expect(page.complaints).toEqual([]);
  });

  it('works under any prefix and with a slash at the end of its address', async () => {
    const server = fake({}, '/deep/down/leader');
    server.say(...fullScene());
    const page = await open(`${await server.start()}/`);
    expect(await shows(page, 'Term 18')).toBe(true);
  });
});

describe('when the clock of the browser is wrong', () => {
  it('shows times by the clock of the server', async () => {
    const server = fake();
    const page = await open('about:blank');
    await page.clock.install({ time: Date.now() + 3 * 3_600_000 });
    server.say(...fullScene());
    await page.goto(await server.start());
    await shows(page, 'Term 18');
    expect(await page.locator('.leader .for .display').innerText()).toMatch(/^19:\d\d$/);
    expect(await page.locator('.leader .legend').innerText()).toMatch(
      /^Valid for 1[0-5] s of 15 s/,
    );
  });
});

describe('when the first term has just begun', () => {
  it('fills the timeline with it, and with an hour when there is one', async () => {
    const server = fake();
    const now = Date.now();
    const [last] = terms(now).slice(-1);
    const key = keyOf('terms', ROLE);
    const young = { ...last!, from: now - 50_000, isFromRecord: true };
    server.say(rolePart(roleView(ROLE)), {
      key,
      value: { role: ROLE, seenSince: now, terms: [young] },
    });
    const page = await open(await server.start());
    const chosen = page.locator('.terms :checked + span');
    await shows(page, '1 term of 1 replica, never without a leader');
    expect(await chosen.innerText()).toBe('All');
    server.say({ key, value: { role: ROLE, seenSince: 0, terms: terms(now) } });
    await shows(page, '4 terms of 3 replicas, without a leader 3 times, 16,282 ms in all');
    expect(await chosen.innerText()).toBe('1 h');
    await page.locator('label').filter({ hasText: '15 min' }).click();
    await shows(page, '1 term of 1 replica');
  });
});

describe('when leadership changes', () => {
  it('shows the next leader, and says it once to screen readers', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    await shows(page, 'Term 18');
    expect(await announced(page).innerText()).toBe('');
    server.say(rolePart(roleView(ROLE, { leader: SECOND_LEADS })));
    await shows(page, 'Term 19');
    expect(await leader(page).innerText()).toBe('plan-7d9f8b6c5-q8w4z');
    expect(await announced(page).innerText()).toBe(`${ROLE}: ${SECOND} is leader.`);
  });

  it('shows that there is none, and names it in the title', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    await shows(page, 'Term 18');
    server.say(...failingScene());
    await shows(page, 'No leader');
    expect(await page.title()).toBe(`No leader: ${ROLE} – plan-service`);
    await shows(page, /\d,\d{3} ms/, '.gap text');
  });

  it('shortens the bar until the lease is renewed', async () => {
    const server = fake();
    const view = roleView(ROLE, { validity: { remainingMs: 4_000, ofMs: 15_000 } });
    server.say(rolePart(view));
    const page = await open(await server.start());
    await shows(page, 'Renewal is late');
    const width = () => page.locator('.rest').evaluate((bar) => bar.getBoundingClientRect().width);
    const late = await width();
    await page.waitForFunction(
      (before) => document.querySelector('.rest')!.getBoundingClientRect().width < before,
      late,
    );
    server.say(rolePart(roleView(ROLE)));
    await shows(page, 'Valid for 14 s of 15 s');
    expect(await width()).toBeGreaterThan(late * 2);
    server.say(rolePart(roleView(ROLE, { validity: { remainingMs: 0, ofMs: 10_000 } })));
    await shows(page, 'Not renewed for 10 s: the leader has given up or is gone');
    expect(await width()).toBe(0);
    server.say(rolePart(roleView(ROLE, { validity: { remainingMs: 0, ofMs: 3_300 } })));
    await shows(page, 'Not renewed for 3.3 s:');
  });

  it('steps the bar without motion for who wants less of it', async () => {
    const server = fake();
    server.say(rolePart(roleView(ROLE)));
    const page = await open(await server.start(), { reducedMotion: 'reduce' });
    await shows(page, 'Valid for');
    expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
    await shows(page, 'Valid for 12 s');
    const share = await page
      .locator('.rest')
      .evaluate((bar) => bar.getBoundingClientRect().width / bar.parentElement!.clientWidth);
    expect(share).toBeLessThan(0.95);
  });
});

describe('when the replica that serves the page is killed', () => {
  it('says so, keeps what it knows, and joins what the next replica says', async () => {
    const first = fake();
    first.say(...fullScene());
    const url = await first.start();
    const port = first.port;
    const page = await open(url);
    await shows(page, 'Term 18');
    await first.stop();
    await shows(page, 'Connection lost');
    expect(await leader(page).innerText()).toBe('plan-7d9f8b6c5-x2x9k');
    const frozen = await page.locator('.leader .for .display').innerText();
    await shows(page, 'Connection lost 2 s ago');
    expect(await page.locator('.leader .for .display').innerText()).toBe(frozen);

    const second = fake({ replica: SECOND });
    const now = Date.now();
    const [ended] = terms(now - 1_500).slice(-1);
    const told = [
      { ...ended!, isFromRecord: true, to: now - 1_500, reason: 'expired' },
      { ...ended!, term: 19, holder: SECOND, from: now - 40, isFromRecord: false },
    ];
    second.say(rolePart(roleView(ROLE, { leader: SECOND_LEADS })), {
      key: keyOf('terms', ROLE),
      value: { role: ROLE, seenSince: now - 60_000, terms: told },
    });
    await second.start(port);
    await shows(page, 'Term 19');
    await page.locator('summary').filter({ hasText: 'As a table' }).click();
    const rows = await page.locator('.terms tbody tr').allInnerTexts();
    expect(rows[0]).toContain('1,460 ms');
    expect(rows[1]).toContain('expired');
    expect(rows.map((row) => row.split('\t')[0])).toEqual(['19', '18', '17', '16', '15']);
    // What only the first replica had is gone with it.
    expect(await page.locator('.jobs .empty').innerText()).toContain('No jobs');
    expect(await page.locator('.events header').innerText()).toContain(
      'of plan-7d9f8b6c5-q8w4z alone',
    );
    expect(await page.locator('.notice').count()).toBe(0);
  });

  it('says what the server answers in its place', async () => {
    const server = fake();
    server.refusal = 403;
    const page = await open(await server.start());
    await shows(page, 'refused the stream (403)');
    server.refusal = undefined;
    server.say(...fullScene());
    expect(await shows(page, 'Term 18')).toBe(true);
  });
});

describe('when nothing comes for long, as from a server that is frozen', () => {
  it('connects again', async () => {
    const server = fake();
    server.say(...fullScene());
    const url = await server.start();
    const page = await open('about:blank');
    await page.clock.install();
    await page.goto(url);
    await shows(page, 'Term 18');
    await page.clock.runFor(30_000);
    expect(server.begun).toBe(1);
    await page.clock.runFor(6_000);
    await shows(page, 'Nothing came for 35 s.');
    await page.clock.runFor(1_000);
    await page.locator('.notice').waitFor({ state: 'detached' });
    expect(server.begun).toBe(2);
  });
});

describe('when there is little to show', () => {
  it('names what is missing and how it comes', async () => {
    const server = fake({ hasActions: false });
    server.say(...emptyScene());
    const page = await open(await server.start());
    for (const text of ['No leader yet', 'No term is known yet', 'No jobs', 'The other replicas']) {
      await shows(page, text);
    }
    expect(await page.getByRole('button').count()).toBe(0);
  });

  it('says that there is no role', async () => {
    const page = await open(await fake().start().catch(String));
    expect(await shows(page, 'No roles')).toBe(true);
  });

  it('says why the lease could not be read', async () => {
    const server = fake();
    server.say(...failingScene());
    const page = await open(await server.start());
    expect(
      await shows(page, 'It could not be read: GET https://10.96.0.1:443 answered 503', '.lease'),
    ).toBe(true);
  });
});

describe('when there are several roles', () => {
  it('shows all at a glance, and the one that is chosen in its address', async () => {
    const server = fake();
    server.say(...rolesScene());
    const page = await open(await server.start());
    await shows(page, 'Leader of billing');
    expect(await page.locator('.roles li').count()).toBe(6);
    await page.getByRole('link', { name: 'mail-outbox' }).click();
    await shows(page, 'Leader of mail-outbox');
    await page.reload();
    await shows(page, 'Leader of mail-outbox');
  });
});

describe('when a person acts', () => {
  /** Also a button that says it is disabled is pressed, to see that it does nothing. */
  const answer = async (page: Page, verb: string): Promise<void> => {
    const dialog = page.getByRole('dialog').last();
    await dialog.getByRole('button', { name: verb, exact: true }).click({ force: true });
  };

  it('asks first, and does nothing if the answer is no', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    await page.getByRole('button', { name: 'Step down…' }).click();
    expect(await page.evaluate(() => document.activeElement!.textContent)).toBe('Not now');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(server.asked).toEqual([]);
    expect(await page.evaluate(() => document.activeElement!.textContent)).toBe('Step down…');
  });

  it('sends what the server demands of a page of its own', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    await page.getByRole('button', { name: 'Step down…' }).click();
    await answer(page, 'Step down');
    await shows(page, 'It was done.', 'dialog');
    const [{ headers, action }] = server.asked as [(typeof server.asked)[number]];
    expect(action).toEqual({ action: 'step-down', role: ROLE });
    expect(headers['content-type']).toBe('application/json');
    expect(headers['x-leader-dashboard']).toBe('1');
    expect(headers['sec-fetch-site']).toBe('same-origin');
    expect(await announced(page).textContent()).toBe('It was done.');
  });

  it('hands over to a ready replica that is chosen, and to no other', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    await page.getByRole('button', { name: 'Hand over to…' }).click();
    await answer(page, 'Hand over');
    expect(server.asked).toEqual([]);
    const select = page.getByLabel('New leader');
    expect(await select.locator('option').allInnerTexts()).toEqual([
      'Choose a replica',
      'plan-7d9f8b6c5-q8w4z',
      'plan-7d9f8b6c5-l7m2n',
    ]);
    await select.selectOption('plan-7d9f8b6c5-l7m2n');
    await answer(page, 'Hand over');
    await shows(page, 'It was done.', 'dialog');
    const to = 'plan-7d9f8b6c5-l7m2n';
    expect(server.asked.map(({ action }) => action)).toEqual([
      { action: 'step-down', role: ROLE, to },
    ]);
  });

  it.each<[job: string, button: string, verb: string, reason: string, DashboardAction]>([
    [
      'send-invoices',
      'Run now…',
      'Run now',
      '',
      { action: 'trigger', role: ROLE, job: 'send-invoices' },
    ],
    [
      'send-invoices',
      'Suspend…',
      'Suspend',
      'ticket 4711',
      { action: 'suspend', role: ROLE, job: 'send-invoices', reason: 'ticket 4711' },
    ],
    [
      'sync-exchange-rates',
      'Resume…',
      'Resume',
      '',
      { action: 'resume', role: ROLE, job: 'sync-exchange-rates' },
    ],
    [
      'rebuild-search-index',
      'Cancel runs…',
      'Cancel what runs',
      'too slow',
      { action: 'cancel', role: ROLE, job: 'rebuild-search-index', reason: 'too slow' },
    ],
  ])('of %s: %s', async (job, button, verb, reason, action) => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    await page.getByRole('button', { name: new RegExp(job) }).click();
    await page.getByRole('button', { name: button }).click();
    if (reason !== '') await page.keyboard.type(reason);
    await answer(page, verb);
    await shows(page, 'It was done.', 'dialog');
    expect(server.asked.map((each) => each.action)).toEqual([action]);
    await page.keyboard.press('Escape');
    expect(await page.evaluate(() => document.activeElement!.textContent)).toBe(button);
  });

  it('demands the reason of a suspension', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    await page.getByRole('button', { name: /send-invoices/ }).click();
    await page.getByRole('button', { name: 'Suspend…' }).click();
    await page.keyboard.press('Enter');
    await answer(page, 'Suspend');
    expect(server.asked).toEqual([]);
  });

  it('shows why nothing was done', async () => {
    const server = fake();
    server.answer = () =>
      Promise.resolve({ status: 409, isDone: false, message: 'No replica leads: try again.' });
    server.say(...fullScene());
    const page = await open(await server.start());
    await page.getByRole('button', { name: 'Step down…' }).click();
    await answer(page, 'Step down');
    expect(await shows(page, 'No replica leads: try again.', 'dialog .is-bad')).toBe(true);
  });

  it('does not pretend to know what a server did that gave no answer', async () => {
    const server = fake();
    server.answer = async () => {
      await server.stop();
      return { isDone: true, message: '' };
    };
    server.say(...fullScene());
    const page = await open(await server.start());
    await page.getByRole('button', { name: 'Step down…' }).click();
    await answer(page, 'Step down');
    expect(await shows(page, 'it is not known whether it was done', 'dialog')).toBe(true);
  });

  it('sends one request however often the button is pressed', async () => {
    const server = fake();
    let respond = (): void => undefined;
    server.answer = () =>
      new Promise((resolve) => {
        respond = () => resolve({ isDone: true, message: 'It was done.' });
      });
    server.say(...fullScene());
    const page = await open(await server.start());
    await page.getByRole('button', { name: 'Step down…' }).click();
    await answer(page, 'Step down');
    await shows(page, 'Waiting for the answer', 'dialog');
    await answer(page, 'Step down');
    await page.keyboard.press('Escape');
    respond();
    await shows(page, 'It was done.', 'dialog');
    expect(server.asked).toHaveLength(1);
  });
});

describe('when a keyboard is all there is', () => {
  it('reaches everything that can be pressed, in the order of the page, and shows where it is', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    await shows(page, 'Term 18');
    const reached: string[] = [];
    for (;;) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const element = document.activeElement!;
        if (element === document.body) return undefined;
        const seen = element.matches('input') ? element.nextElementSibling! : element;
        const { outlineStyle } = getComputedStyle(seen);
        const label = element.getAttribute('aria-labelledby') ?? element.textContent;
        return `${label || seen.textContent}${outlineStyle === 'none' ? ' WITHOUT FOCUS RING' : ''}`;
      });
      if (at === undefined) break;
      reached.push(at);
      if (reached.length > 60) break;
    }
    expect(reached).toMatchInlineSnapshot(`
     [
       "Step down…",
       "Hand over to…",
       "1 h",
       "As a table",
       "All 6",
       "jobs",
       "Job",
       "Next",
       "Last tick",
       "Success",
       "Missed",
       "close-expired-plansScheduled",
       "rebuild-search-indexRunning",
       "send-invoicesThe last run failed",
       "sync-exchange-ratesSuspended",
       "warm-cacheScheduled",
       "weekly-reportHas not run yet",
       "members",
       "As it is stored",
       "Auto",
     ]
    `);
  });

  it('keeps the focus when the part that has it changes', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start());
    const row = page.getByRole('button', { name: /send-invoices/ });
    await row.focus();
    server.say(
      rolePart(roleView(ROLE, { leader: SECOND_LEADS })),
      jobPart(
        jobView(ROLE, 'send-invoices', { schedule: '* * * * *', intervalMs: 60_000, typicalMs: 9 }),
      ),
      jobPart(
        jobView(ROLE, 'a-new-job', { schedule: '* * * * *', intervalMs: 60_000, typicalMs: 9 }),
      ),
    );
    await shows(page, 'a-new-job');
    await shows(page, 'Term 19');
    expect(await page.evaluate(() => document.activeElement!.textContent)).toContain(
      'send-invoices',
    );
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    expect(await page.evaluate(() => document.activeElement!.textContent)).toContain(
      'send-invoices',
    );
  });
});

describe('when a person prefers one of the themes', () => {
  it('keeps it when the page is opened again', async () => {
    const server = fake();
    server.say(...fullScene());
    const page = await open(await server.start(), { colorScheme: 'light' });
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await paper();
    await page.locator('label').filter({ hasText: 'Dark' }).click();
    const dark = await paper();
    expect(dark).not.toBe(light);
    await page.reload();
    await shows(page, 'Term 18');
    expect(await paper()).toBe(dark);
  });
});
