import { type FSWatcher, watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { MembersUnknownError } from '../../core/errors.js';
import { isJsonObject } from '../../core/json-document.js';
import {
  competingMember,
  type Member,
  type MemberObserver,
  type MemberSource,
} from '../../core/member.js';
import { codeOf, messageOf } from '../../core/thrown-value.js';
import { HolderSocket, withShortPath } from './holder-socket.js';
import { removeFile } from './lease-file-reader.js';
import type { FileLockDirectory } from './lease-paths.js';
import { fileLockError, localFileSystem } from './system-call-failure.js';

/** How long a process that joins without a notification of the file system stays unnoticed. */
const LOOK_EVERY_MS = 2_000;
/** A process that has bound its socket listens on it a moment later. */
const LOOK_AGAIN_AFTER_MS = 50;
/** A process that lives greets at once; one that is stopped never does, and is not waited for. */
const GREETING_LIMIT_MS = 500;
/** Of a refused connection, at looks that are some time apart, before its file is taken for that of a dead process. */
const REFUSALS_OF_THE_DEAD = 3;
const LONGEST_GREETING = 4_096;

interface Competitor {
  readonly connection: Socket;
  member: Member | undefined;
}

/**
 * The processes that compete for one lease: each listens on a socket of its own beside those of the holders, says its
 * identity to whoever connects, and is a member for as long as that connection lasts. The kernel ends it with the
 * process, so that nothing has to be cleaned up for a member to leave, and no file has to be believed.
 */
export class CompetingProcesses implements MemberSource {
  private readonly socket: HolderSocket;
  private readonly self: Member;
  private readonly competitors = new Map<string, Competitor>();
  private readonly refusals = new Map<string, number>();
  private observer: MemberObserver | undefined;
  private notifier: FSWatcher | undefined;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private nextLookInMs = LOOK_EVERY_MS;
  private isKnown = false;
  private isClosed = false;
  private lastError: string | undefined;

  constructor(
    private readonly directory: FileLockDirectory,
    leaseDirectory: string,
    identity: string,
  ) {
    const since = new Date();
    this.self = competingMember(identity, since, true);
    const greeting = `${JSON.stringify({ identity, since })}\n`;
    this.socket = new HolderSocket(directory, `${leaseDirectory}#competitors`, greeting);
  }

  start(observer: MemberObserver): void {
    this.observer = observer;
    this.look();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.notifier?.close();
    for (const { connection } of this.competitors.values()) connection.destroy();
    await this.looking;
    await this.socket.close();
  }

  /** One look at a time; a change during a look is followed by another. */
  private look(): void {
    if (this.looking !== undefined) this.nextLookInMs = LOOK_AGAIN_AFTER_MS;
    if (this.isClosed || this.looking !== undefined) return;
    clearTimeout(this.timer);
    this.nextLookInMs = LOOK_EVERY_MS;
    this.looking = this.lookOnce()
      .catch((error: unknown) => this.unknown(error))
      .finally(() => {
        this.looking = undefined;
        if (this.isClosed) return;
        this.timer = setTimeout(() => this.look(), this.nextLookInMs);
        this.timer.unref();
      });
  }

  private async lookOnce(): Promise<void> {
    if (process.platform === 'win32') {
      throw new Error('the sockets of other processes cannot be listed on Windows');
    }
    await this.directory.prepare();
    const own = await this.socket.listen();
    if (own === null) {
      throw new Error(
        `no socket could be made below ${this.directory.path}, which others could find`,
      );
    }
    this.watch(dirname(own));
    const names = await readdir(dirname(own));
    if (this.isClosed) return;
    const others = names
      .filter((name) => name.startsWith(this.socket.prefix))
      .map((name) => join(dirname(own), name))
      .filter((path) => path !== own && !this.competitors.has(path));
    await Promise.all(others.map((path) => this.meet(path)));
    if (this.isClosed || this.isKnown) return;
    this.isKnown = true;
    this.lastError = undefined;
    this.tell();
  }

  /** Settles when the process has said who it is, or will not. */
  private meet(path: string): Promise<void> {
    return new Promise((resolve) => {
      let connection: Socket;
      try {
        connection = withShortPath(path, (short) => connect({ path: short }));
      } catch {
        // There is no place for a short path; the next look tries again.
        resolve();
        return;
      }
      const competitor: Competitor = { connection, member: undefined };
      this.competitors.set(path, competitor);
      connection.unref();
      const limit = setTimeout(resolve, GREETING_LIMIT_MS);
      let heard = '';
      connection.setEncoding('utf8');
      connection.on('data', (text: string) => {
        if (competitor.member !== undefined) return;
        heard += text;
        if (heard.includes('\n')) this.joined(competitor, heard);
        else if (heard.length > LONGEST_GREETING) connection.destroy();
        if (competitor.member !== undefined) resolve();
      });
      connection.on('error', (error) => this.failed(path, codeOf(error)));
      connection.on('close', () => {
        clearTimeout(limit);
        this.competitors.delete(path);
        if (competitor.member !== undefined) this.tell();
        resolve();
      });
    });
  }

  private joined(competitor: Competitor, greeting: string): void {
    competitor.member = memberOf(greeting);
    if (competitor.member === undefined) competitor.connection.destroy();
    else this.tell();
  }

  private failed(path: string, code: string | undefined): void {
    if (code !== 'ECONNREFUSED') return;
    const refusals = (this.refusals.get(path) ?? 0) + 1;
    this.refusals.set(path, refusals);
    if (refusals === 1) this.nextLookInMs = LOOK_AGAIN_AFTER_MS;
    if (refusals < REFUSALS_OF_THE_DEAD) return;
    this.refusals.delete(path);
    // A file that stays is refused again at the next look.
    removeFile(localFileSystem, path).catch(() => undefined);
  }

  private tell(): void {
    if (this.isClosed || !this.isKnown) return;
    const others = [...this.competitors.values()].map(({ member }) => member);
    this.observer?.members([this.self, ...others.filter((member) => member !== undefined)]);
  }

  private unknown(error: unknown): void {
    this.isKnown = false;
    const { message } =
      codeOf(error) === undefined
        ? { message: messageOf(error) }
        : fileLockError('find the competitors for', this.directory.path, error);
    if (this.isClosed || message === this.lastError) return;
    this.lastError = message;
    this.observer?.unknown(new MembersUnknownError(message, { cause: error }));
  }

  private watch(folder: string): void {
    if (this.notifier !== undefined || this.isClosed) return;
    try {
      this.notifier = watch(folder, { persistent: false });
      this.notifier.on('change', () => this.look());
      this.notifier.on('error', () => this.notifier?.close());
    } catch {
      // There is no inotify watch left, or the file system has none. The next look comes in any case.
    }
  }
}

/** Undefined if it is no greeting of a competitor. */
function memberOf(greeting: string): Member | undefined {
  try {
    const said: unknown = JSON.parse(greeting.slice(0, greeting.indexOf('\n')));
    if (!isJsonObject(said) || typeof said['identity'] !== 'string') return undefined;
    const since = new Date(String(said['since']));
    return Number.isNaN(since.getTime())
      ? undefined
      : competingMember(said['identity'], since, false);
  } catch {
    // Something else listens there.
    return undefined;
  }
}
