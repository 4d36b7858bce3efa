import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Member, MemberSource } from '../../../lib/core/member.js';
import { FileLock } from '../../../lib/locks/file/lease-files.js';
import { eventually } from '../../../proof/api-emulator/eventually.js';

let directory: string;
let sources: MemberSource[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'competitors-'));
  sources = [];
});

afterEach(async () => {
  await Promise.all(sources.map((source) => source.close()));
  rmSync(directory, { recursive: true, force: true });
});

interface Compete {
  readonly source: MemberSource;
  readonly lists: (readonly Member[])[];
  readonly errors: string[];
  names(): string[] | undefined;
}

function compete(identity: string, leaseName = 'plan', inDirectory = directory): Compete {
  const lock = new FileLock(
    { directory: inDirectory },
    { leaseName, namespace: undefined, identity },
  );
  const source = lock.competitors();
  sources.push(source);
  const lists: (readonly Member[])[] = [];
  const errors: string[] = [];
  source.start({
    members: (members) => lists.push(members),
    unknown: ({ message }) => errors.push(message),
  });
  const names = () =>
    lists
      .at(-1)
      ?.map(({ name }) => name)
      .toSorted();
  return { source, lists, errors, names };
}

const sockets = () => readdirSync(join(directory, 's'));

describe('when processes compete for one lease in a directory', () => {
  it('each knows all of them, and which one it is', async () => {
    const one = compete('one');
    await eventually(() => expect(one.names()).toEqual(['one']));
    const two = compete('two');
    await eventually(() => {
      expect(one.names()).toEqual(['one', 'two']);
      expect(two.names()).toEqual(['one', 'two']);
    });
    expect(two.lists.at(-1)!.find(({ isSelf }) => isSelf)).toMatchObject({
      name: 'two',
      uid: 'two',
      isReady: true,
      isTerminating: false,
    });
  });

  it('one that ends is a member no more, and leaves no file', async () => {
    const [one, two] = [compete('one'), compete('two')];
    await eventually(() => expect(one.names()).toEqual(['one', 'two']));
    await two.source.close();
    await eventually(() => expect(one.names()).toEqual(['one']));
    expect(sockets()).toHaveLength(1);
  });

  it('those of another lease are no members', async () => {
    const [one, other] = [compete('one'), compete('other', 'mails')];
    await eventually(() => expect([one.names(), other.names()]).toEqual([['one'], ['other']]));
  });

  it('a file that no process listens on is no member, and is removed', async () => {
    const one = compete('one');
    await eventually(() => expect(one.names()).toEqual(['one']));
    const prefix = sockets()[0]!.slice(0, 9);
    await writeFile(join(directory, 's', `${prefix}dead`), '');
    await eventually(() => expect(sockets()).not.toContain(`${prefix}dead`));
    expect(one.names()).toEqual(['one']);
  });

  it.each([
    'no JSON\n',
    '{"identity":7}\n',
    '{"identity":"x","since":"never"}\n',
    'x'.repeat(5_000),
  ])('something else that listens there is no member (%j)', async (greeting) => {
    const one = compete('one');
    await eventually(() => expect(one.names()).toEqual(['one']));
    const prefix = sockets()[0]!.slice(0, 9);
    let greeted = 0;
    const stranger = createServer((connection) => {
      connection.on('error', () => undefined);
      connection.write(greeting);
      greeted += 1;
    });
    await new Promise<void>((resolve) =>
      stranger.listen(join(directory, 's', `${prefix}stranger`), resolve),
    );
    await eventually(() => expect(greeted).toBeGreaterThan(0));
    const two = compete('two');
    await eventually(() => expect(one.names()).toEqual(['one', 'two']));
    expect(two.errors).toEqual([]);
    stranger.close();
  });
});

describe('when it is closed while it looks for others', () => {
  it.each([0, 1, 2, 4, 8])('leaves no connection (%i turns after its start)', async (turns) => {
    const one = compete('one');
    await eventually(() => expect(one.names()).toEqual(['one']));
    const prefix = sockets()[0]!.slice(0, 9);
    await one.source.close();
    const open = new Set<Socket>();
    const silent = createServer((connection) => {
      open.add(connection);
      connection.resume();
      connection.on('error', () => undefined);
      connection.on('close', () => open.delete(connection));
    });
    await new Promise<void>((resolve) =>
      silent.listen(join(directory, 's', `${prefix}silent`), resolve),
    );
    try {
      const two = compete('two');
      for (let turn = 0; turn < turns; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      await two.source.close();
      await eventually(() => expect(open.size).toBe(0));
    } finally {
      for (const connection of open) connection.destroy();
      silent.close();
    }
  });
});

describe('when the directory cannot be used', () => {
  it('says that the members are unknown and why, and finds them once it can', async () => {
    const blocked = join(directory, 'a', 'b');
    await writeFile(join(directory, 'a'), '');
    const one = compete('one', 'plan', blocked);
    await eventually(() => expect(one.errors).toHaveLength(1));
    expect(one.errors[0]).toMatch(/members of this deployment are unknown: Cannot find.*ENOTDIR/s);
    rmSync(join(directory, 'a'));
    await mkdir(blocked, { recursive: true });
    await eventually(() => expect(one.names()).toEqual(['one']));
  });
});
