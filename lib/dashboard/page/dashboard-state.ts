import type { EventsView, Hello, JobView, Part, RoleView, TermsView } from '../dashboard-view.js';
import { NO_HISTORY, type TermHistory, joined, seenUntil } from './term-history.js';
import { nameParts } from './words.js';

export type Connection =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** Since when nothing came, and why, in a sentence. */
  | { readonly kind: 'lost'; readonly since: number; readonly why: string };

/** The key of a part; `roles` and `jobs/<role>` for any of them; `connection`; `announcement`. */
export type Topic = string;

/**
 * All that the server has said. It knows no document: who shows a part asks to hear of its topic, which is its key, and hears
 * once for all that has changed since the last time.
 */
export class DashboardState {
  hello: Hello | undefined;
  connection: Connection = { kind: 'connecting' };
  /** How far the clock of the server is ahead of that of the browser, in milliseconds. */
  ahead = 0;
  /** Read to those who do not see the page: changes of leader and what came of actions. */
  announcement = '';
  /** The stream has begun, and not all was said yet. */
  isArriving = false;
  private readonly parts = new Map<string, NonNullable<Part['value']>>();
  /** Of each name the identities that were heard, where an identity is more than a name. */
  private readonly processes = new Map<string, Set<string>>();
  private readonly histories = new Map<string, TermHistory>();
  /** Of an earlier stream, and not said again yet. */
  private unconfirmed = new Set<string>();
  private readonly listeners = new Map<Topic, Set<() => void>>();
  private readonly touched = new Set<Topic>();

  /** @param schedule Called once when there is something to hear; it calls `flush` soon. */
  constructor(
    private readonly schedule: () => void,
    private readonly browserNow: () => number = Date.now,
  ) {}

  /** By the clock of the server; while nothing comes, when something last came. */
  now(): number {
    const { connection } = this;
    return (connection.kind === 'lost' ? connection.since : this.browserNow()) + this.ahead;
  }

  take(event: string, data: string): void {
    if (event === 'hello') this.greet(JSON.parse(data) as Hello);
    else if (event === 'part') this.change(JSON.parse(data) as Part);
    else if (event === 'ready') {
      this.isArriving = false;
      this.drop(this.unconfirmed);
    }
  }

  lose(why: string, since: number = this.browserNow()): void {
    this.isArriving = false;
    if (this.connection.kind === 'live') {
      for (const [role, history] of this.histories) {
        this.histories.set(role, seenUntil(history, since));
      }
      this.connection = { kind: 'lost', since, why };
    } else {
      const begun = this.connection.kind === 'lost' ? this.connection.since : since;
      this.connection = { kind: 'lost', since: begun, why };
    }
    this.touch('connection');
  }

  announce(text: string): void {
    this.announcement = text;
    this.touch('announcement');
  }

  role(role: string): RoleView | undefined {
    return this.parts.get(key('role', role)) as RoleView | undefined;
  }

  roles(): RoleView[] {
    return this.all<RoleView>('role/').sort((a, b) => (a.role < b.role ? -1 : 1));
  }

  events(role: string): EventsView | undefined {
    return this.parts.get(key('events', role)) as EventsView | undefined;
  }

  jobs(role: string): JobView[] {
    return this.all<JobView>(`${key('job', role)}/`);
  }

  job(role: string, job: string): JobView | undefined {
    return this.parts.get(jobKey(role, job)) as JobView | undefined;
  }

  /** Times are by the clock of the browser. */
  history(role: string): TermHistory {
    return this.histories.get(role) ?? NO_HISTORY;
  }

  /** Whether another process has the same name: one host runs several, or a pod has restarted its container. */
  hasTwin(identity: string): boolean {
    return (this.processes.get(nameParts(identity).name)?.size ?? 0) > 1;
  }

  /** Returns what ends it. */
  hear(topic: Topic, listener: () => void): () => void {
    const heard = this.listeners.get(topic) ?? new Set();
    this.listeners.set(topic, heard.add(listener));
    return () => {
      heard.delete(listener);
      if (heard.size === 0 && this.listeners.get(topic) === heard) this.listeners.delete(topic);
    };
  }

  flush(): void {
    const topics = [...this.touched];
    this.touched.clear();
    const listeners = new Set(topics.flatMap((topic) => [...(this.listeners.get(topic) ?? [])]));
    for (const listener of listeners) listener();
  }

  private greet(hello: Hello): void {
    this.hello = hello;
    this.ahead = hello.now - this.browserNow();
    this.connection = { kind: 'live' };
    this.unconfirmed = new Set(this.parts.keys());
    // What comes first is shown at once: it is who leads.
    this.touch('connection');
    this.isArriving = true;
  }

  private change({ key: changed, value }: Part): void {
    this.unconfirmed.delete(changed);
    const before = this.parts.get(changed);
    if (value === null) this.parts.delete(changed);
    else this.parts.set(changed, value);
    this.touch(changed);
    const [kind, role = ''] = changed.split('/');
    if (kind === 'job') this.touch(`jobs/${decodeURIComponent(role)}`);
    if (kind === 'terms' && value !== null) this.remember(value as TermsView);
    if (kind !== 'role') return;
    this.touch('roles');
    if (value === null) return;
    const { identity, leader, members } = value as RoleView;
    this.meet(identity, leader?.identity ?? '', ...(members ?? []).map(({ name }) => name));
    this.catchUp(value as RoleView);
    if (before !== undefined) this.compare(before as RoleView, value as RoleView);
  }

  /** What was just said cannot be from the future: the greeting was longer on its way than this. */
  private catchUp({ at }: RoleView): void {
    this.ahead = Math.max(this.ahead, at - this.browserNow());
  }

  private remember(terms: TermsView): void {
    const history = joined(this.history(terms.role), terms, this.ahead, this.browserNow());
    this.histories.set(terms.role, history);
    this.meet(...terms.terms.map(({ holder }) => holder));
  }

  private meet(...identities: readonly string[]): void {
    for (const identity of identities) {
      const { name, mark } = nameParts(identity);
      if (mark === '') continue;
      this.processes.set(name, (this.processes.get(name) ?? new Set()).add(identity));
    }
  }

  private compare(before: RoleView, { leader }: RoleView): void {
    if (leader?.identity === before.leader?.identity) return;
    const who = leader === null ? 'no replica is leader' : `${leader.identity} is leader`;
    this.announce(`${before.role}: ${who}.`);
  }

  private drop(keys: Iterable<string>): void {
    for (const gone of keys) this.change({ key: gone, value: null });
  }

  private all<Value>(prefix: string): Value[] {
    const found: Value[] = [];
    for (const [name, value] of this.parts) if (name.startsWith(prefix)) found.push(value as Value);
    return found;
  }

  private touch(topic: Topic): void {
    if (this.touched.size === 0) this.schedule();
    this.touched.add(topic);
  }
}

function key(kind: string, role: string): string {
  return `${kind}/${encodeURIComponent(role)}`;
}

export function jobKey(role: string, job: string): string {
  return `${key('job', role)}/${encodeURIComponent(job)}`;
}
