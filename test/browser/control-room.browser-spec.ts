import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { NodeProgram } from '../../proof/fleet/node-program.js';
import type {
  FleetView,
  TickState,
  TickView,
} from '../../sample-app/src/control-room/fleet-view.js';
import { JOB } from '../../sample-app/src/control-room/messages.js';
import { violations } from './support/axe.js';
import { LAPTOP, type OpenPage, PHONE, PICTURES, useBrowser } from './support/browser.js';

const PROGRAM = fileURLToPath(new URL('../../sample-app/dist/three-replicas.js', import.meta.url));
/** `npm run pictures` keeps the one of the README there, once the line of ticks is full. */
const README_FOLDER = process.env['PICTURES'];

const open = useBrowser({ closesAfterEach: false });

/** One fleet for all tests, as its history is what the page shows; each leaves a leader and three replicas. */
let sample: NodeProgram;
let directory: string;
let page: OpenPage;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'control-room-'));
  const env = { LOCK: 'file', LOCK_DIRECTORY: directory };
  sample = new NodeProgram({ name: 'the sample', program: PROGRAM, env });
  const { match } = await sample.line(/control room: (http:\/\/127\.0\.0\.1:\d+)/);
  page = await open(match[1]!, { viewport: LAPTOP, colorScheme: 'light' });
}, 60_000);

afterAll(async () => {
  sample.signal('SIGINT');
  await sample.exited;
  rmSync(directory, { recursive: true, force: true });
});

const button = (name: string) => page.getByRole('button', { name, exact: true });
const lane = (name: string) =>
  page.locator('article.lane').filter({ has: page.locator(`#${name}`) });

/** Waits for a leader, another than that one, and for a tick of its own that is not on the line yet. */
async function nextLeader(before?: string): Promise<string> {
  const since = (await tickLine()).findLast(([, state]) => state !== 'due')?.[0] ?? 0;
  await page.waitForFunction(
    ([old, last]) => {
      const leads = document.querySelector('article.lane.is-leader');
      const name = leads?.querySelector('h4')?.textContent;
      const ticks = [...(leads?.querySelectorAll('.mark') ?? [])];
      const isNew = ticks.some((mark) => Number(mark.getAttribute('data-tick')) > last);
      return name !== undefined && name !== old && isNew;
    },
    [before, since] as const,
  );
  return leaderNow();
}

function leaderNow(): Promise<string> {
  return page.locator('article.lane.is-leader h4').innerText();
}

async function isState(name: string, state: string): Promise<void> {
  await lane(name)
    .and(page.locator(`[data-state="${state}"]`))
    .waitFor();
}

async function count(state: TickState): Promise<number> {
  return Number(await page.locator(`.figures [data-state="${state}"] b`).innerText());
}

/** The line of all replicas: the states of its ticks, oldest first. */
async function tickLine(): Promise<(readonly [tick: number, state: string])[]> {
  return page
    .locator('.is-all .mark')
    .evaluateAll((all) =>
      all.map((mark) => [
        Number(mark.getAttribute('data-tick')),
        mark.getAttribute('class')!.replace('mark is-', ''),
      ]),
    );
}

/** What speaks against the promise that each tick runs at most once: on the page nothing does. */
async function doubts(): Promise<string[]> {
  const line = await tickLine();
  const twice = await count('twice');
  const sentence = await page.locator('#proof').innerText();
  return [
    ...(line.length === 0 ? ['there is no line'] : []),
    ...line.flatMap(([tick, state], index) => [
      ...(state === 'twice' ? [`${tick} ran twice`] : []),
      ...(tick === line[0]![0] + index * 1_000 ? [] : [`no mark before ${tick}`]),
    ]),
    ...(twice === 0 ? [] : [`${twice} ran twice`]),
    ...(sentence.includes(', 0 ran twice,') ? [] : [sentence]),
  ];
}

/**
 * Ticks that no replica ran although one was at work in time: the next run that was told of came before they were too late. A
 * process may stand still for longer than that on a busy machine, whether it leads or is about to, and then misses them.
 */
function lostTicks(ticks: readonly TickView[]): number[] {
  const isLost = (missed: number): boolean => {
    const next = ticks.find(({ tick, ranAt }) => tick > missed && ranAt !== null);
    return next !== undefined && next.ranAt! <= missed + JOB.startingDeadlineSeconds * 1_000;
  };
  return ticks
    .filter(({ state, tick }) => state === 'missed' && isLost(tick))
    .map(({ tick }) => tick);
}

describe('when npm start runs and its page is open', () => {
  it('shows one leader, and two replicas that follow', async () => {
    await nextLeader();
    for (const name of ['replica-1', 'replica-2', 'replica-3']) await isState(name, 'running');
    expect(await page.locator('.lane.is-leader').count()).toBe(1);
    expect(await page.getByText('follows').count()).toBe(2);
    expect(await doubts()).toEqual([]);
  });

  it('has another leader after the button kills it, and an unbroken line of ticks', async () => {
    const leader = await leaderNow();
    await button('Kill the leader').click();
    const next = await nextLeader(leader);
    expect(next).not.toBe(leader);
    await isState(leader, 'ended');
    expect(await lane(leader).innerText()).toContain('ended (SIGKILL)');
    expect(await doubts()).toEqual([]);
    expect(lostTicks((await view()).ticks)).toEqual([]);
    await button(`Start ${leader}`).click();
    await isState(leader, 'running');
  });

  it('replaces a leader that is frozen, which has nothing to say when it thaws; by the keyboard alone', async () => {
    const leader = await leaderNow();
    await button(`Freeze ${leader}`).focus();
    await page.keyboard.press('Enter');
    await isState(leader, 'frozen');
    await nextLeader(leader);
    // The same button has another name, and keeps the focus.
    expect(await page.evaluate(() => document.activeElement!.textContent)).toBe(`Thaw ${leader}`);
    await page.keyboard.press('Space');
    await isState(leader, 'running');
    expect(await doubts()).toEqual([]);
  });

  it('replaces a leader whose network is cut', async () => {
    const leader = await leaderNow();
    await button(`Cut network ${leader}`).click();
    await nextLeader(leader);
    expect(await lane(leader).innerText()).toContain('network cut');
    await button(`Heal network ${leader}`).click();
    await button(`Cut network ${leader}`).waitFor();
    expect(await doubts()).toEqual([]);
  });

  it('replaces a leader whose event loop is blocked', async () => {
    const leader = await leaderNow();
    await button(`Block 7 s ${leader}`).click();
    await isState(leader, 'blocked');
    await nextLeader(leader);
    expect(await doubts()).toEqual([]);
  });

  it('hands over when the leader is stopped, and takes another replica in', async () => {
    const leader = await leaderNow();
    await button('Add a replica').click();
    await isState('replica-4', 'running');
    await button(`Stop ${leader}`).click();
    await nextLeader(leader);
    await isState(leader, 'ended');
    expect(await doubts()).toEqual([]);
    // One for each test until here, and one more for each time that this machine stood still for too long.
    const terms = (await view()).terms.length;
    expect(terms).toBeGreaterThanOrEqual(6);
    expect(await page.locator('.terms tbody tr').count()).toBe(terms);
  });

  it('links the dashboard of each replica, which is for this machine alone', async () => {
    const leader = await leaderNow();
    const address = (await lane(leader).getByRole('link').getAttribute('href'))!;
    expect((await fetch(address)).status).toBe(200);
    const dashboard = await open(address);
    // With what can be done there, as the guard of the sample lets this machine do.
    await dashboard.getByRole('button', { name: 'Hand over to…' }).waitFor();
    await dashboard.context().close();
  });

  it('has room on a laptop and on a phone, in the light and the dark, and axe finds nothing wrong', async () => {
    const overflow = () =>
      document.documentElement.scrollWidth - document.documentElement.clientWidth;
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    for (const [size, viewport] of Object.entries({ laptop: LAPTOP, phone: PHONE })) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        await page.evaluate(() => new Promise(requestAnimationFrame));
        const path = join(PICTURES, `control-room-${size}-${colorScheme}.png`);
        await page.screenshot({ path });
        expect(await page.evaluate(overflow)).toBe(0);
      }
    }
    expect(await violations(page)).toEqual([]);
    expect(page.complaints).toEqual([]);
  });

  if (README_FOLDER !== undefined) {
    it('has its picture taken', async () => {
      mkdirSync(README_FOLDER, { recursive: true });
      await page.setViewportSize(LAPTOP);
      await page.emulateMedia({ colorScheme: 'light' });
      await page.waitForTimeout(20_000);
      const path = join(README_FOLDER, 'control-room.png');
      await page.screenshot({ path });
      expect(statSync(path).size).toBeGreaterThan(5_000);
    });
  }
});

/** What the server said last, of which the page shows a part. */
async function view(): Promise<FleetView> {
  const response = await fetch(`${new URL(page.url()).origin}/stream`);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!text.includes('\n\n')) text += (await reader.read()).value ?? '';
  await reader.cancel();
  return JSON.parse(/^data: (.*)$/m.exec(text)![1]!) as FleetView;
}
