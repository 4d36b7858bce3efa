import { useLayoutEffect, useReducer } from 'preact/hooks';
import { listen } from '../../../../lib/dashboard/page/connection.js';
import type { FleetAction, FleetView } from '../fleet-view.js';

/** What the server has said last. */
class Room {
  view: FleetView | undefined;
  /** Why it is lost, in a sentence. */
  lost: { readonly since: number; readonly why: string } | undefined;
  /** Why the last action was not done. */
  refusal: string | undefined;
  private ahead = -Infinity;
  private readonly listeners = new Set<() => void>();
  private isPending = false;

  /** By the clock of the server. Messages are never early, so the fastest one is the most exact. */
  now(): number {
    return (this.lost?.since ?? Date.now()) + (Number.isFinite(this.ahead) ? this.ahead : 0);
  }

  take(event: string, data: string): void {
    if (event !== 'view') return;
    const view = JSON.parse(data) as FleetView;
    if (this.lost !== undefined) this.ahead = -Infinity;
    this.ahead = Math.max(this.ahead, view.now - Date.now());
    this.lost = undefined;
    this.view = view;
    this.changed();
  }

  lose(why: string): void {
    this.lost = { since: this.lost?.since ?? Date.now(), why };
    this.changed();
  }

  async act(action: FleetAction): Promise<void> {
    this.refusal = await perform(action);
    this.changed();
  }

  hear(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private changed(): void {
    if (this.isPending) return;
    this.isPending = true;
    const flush = () => {
      this.isPending = false;
      for (const listener of this.listeners) listener();
    };
    // No frame is drawn while the page is hidden.
    if (document.hidden) setTimeout(flush, 200);
    else requestAnimationFrame(flush);
  }
}

/** Undefined when it is under way. */
async function perform(action: FleetAction): Promise<string | undefined> {
  try {
    const response = await fetch('/actions', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-control-room': '1' },
      body: JSON.stringify(action),
    });
    if (response.ok) return undefined;
    return ((await response.json()) as { message: string }).message;
  } catch {
    return 'The sample did not answer.';
  }
}

export const room = new Room();
void listen('', room);

/** Renders again whenever something has changed. */
export function useRoom(): Room {
  const [, again] = useReducer((count: number) => count + 1, 0);
  useLayoutEffect(() => room.hear(() => again(undefined)), []);
  return room;
}
