import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type OpenPage, PICTURES, useBrowser } from './support/browser.js';

const open = useBrowser();

interface Replica {
  readonly name: string;
  readonly process: ChildProcess;
  readonly port: number;
}

const directory = mkdtempSync(join(tmpdir(), 'dashboard-'));
const replicas = new Map<string, Replica>();

/** One address for all replicas, as a Service: a new connection reaches one that lives. */
class Service {
  private readonly sockets = new Set<Socket>();
  private readonly server: Server = createServer((client) => this.forward(client));
  target: string | undefined;

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/leader`;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private forward(client: Socket): void {
    const replica = replicas.get(this.target ?? '') ?? [...replicas.values()][0];
    if (replica === undefined) return void client.destroy();
    const upstream = connect(replica.port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      this.sockets.add(socket);
      socket.on('error', () => socket.destroy());
    }
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.pipe(upstream).pipe(client);
  }
}

const service = new Service();

async function startReplica(name: string): Promise<void> {
  const child = spawn(process.execPath, ['test/browser/support/replica.js', directory, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`${name} ended with ${code}`))),
  ])) as [Buffer];
  replicas.set(name, { name, process: child, port: Number(new URL(String(line)).port) });
}

async function end(name: string, signal: NodeJS.Signals): Promise<void> {
  const { process: child } = replicas.get(name)!;
  replicas.delete(name);
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

beforeAll(async () => {
  for (const name of ['replica-1', 'replica-2', 'replica-3']) await startReplica(name);
  await service.start();
});

afterAll(async () => {
  for (const name of replicas.keys()) await end(name, 'SIGKILL');
  await service.close();
  rmSync(directory, { recursive: true, force: true });
});

async function leaderOn(page: OpenPage): Promise<string> {
  const name = page.locator('.leader .display .name');
  await name.waitFor();
  return name.innerText();
}

/** Waits for another leader than this one. */
async function nextLeader(page: OpenPage, before: string): Promise<string> {
  await page.waitForFunction((name) => {
    const shown = document.querySelector('.leader .display .name')?.textContent;
    return shown != null && shown !== name && document.querySelector('.is-live') !== null;
  }, before);
  return leaderOn(page);
}

/** Every second has run once since the page was opened: what the leaders did is one unbroken line. */
async function ticked(page: OpenPage): Promise<void> {
  const last = page.locator('.jobs .is-last');
  await last.filter({ hasText: /just now|^[1-3] s ago/ }).waitFor();
}

describe('when the module of three real replicas serves the page', () => {
  it('shows one leader, its replicas and its job, and the next leader when it is killed', async () => {
    const page = await open(service.url);
    const first = await leaderOn(page);
    await page.getByText('3 of 3 ready').waitFor();
    await ticked(page);
    expect(await page.locator('.members em').allInnerTexts()).toEqual(['leader']);

    // The page is served by the very one that is killed.
    service.target = first;
    await page.reload();
    await page.getByText(`from ${first}`).waitFor();
    await end(first, 'SIGKILL');
    const second = await nextLeader(page, first);
    expect(replicas.has(second)).toBe(true);
    await ticked(page);
    expect(await page.locator('#announcer').textContent()).toBe(`plans: ${second} is leader.`);

    // One that is stopped hands over.
    await end(second, 'SIGTERM');
    const third = await nextLeader(page, second);
    expect([...replicas.keys()]).toEqual([third]);
    await page.locator('summary').filter({ hasText: 'As a table' }).click();
    const terms = page.locator('.terms tbody tr');
    await terms.nth(2).waitFor();
    const holders = await terms.locator('.name').allInnerTexts();
    expect(holders).toEqual([third, second, first]);
    await ticked(page);
    await page.screenshot({ path: `${PICTURES}/module.png`, fullPage: true });
    expect(page.complaints).toEqual([]);
  });

  it('does what a person asks for', async () => {
    await startReplica('replica-4');
    const page = await open(service.url);
    const before = await leaderOn(page);
    await page.getByText('2 of 2 ready').waitFor();

    await page.locator('[data-job="tick"]').click();
    await page.getByRole('button', { name: 'Suspend…' }).click();
    await page.getByLabel('Reason').fill('ticket 4711');
    await page.getByRole('button', { name: 'Suspend', exact: true }).click();
    await page.locator('dialog .is-done').waitFor();
    await page.getByRole('button', { name: 'Close' }).last().click();
    await page.locator('.condition').filter({ hasText: 'ticket 4711' }).waitFor();
    await page.getByRole('button', { name: 'Resume…' }).click();
    await page.getByRole('button', { name: 'Resume', exact: true }).click();
    await page.locator('dialog .is-done').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await ticked(page);

    await page.getByRole('button', { name: 'Hand over to…' }).click();
    await page.getByLabel('New leader').selectOption('replica-4');
    await page.getByRole('button', { name: 'Hand over', exact: true }).click();
    expect(await nextLeader(page, before)).toBe('replica-4');
    await page.locator('dialog .is-done').waitFor();
    expect(page.complaints).toEqual([]);
  });
});
