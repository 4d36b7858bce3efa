import type { ActionResult, DashboardAction } from '../dashboard-view.js';
import type { DashboardState } from './dashboard-state.js';
import { StreamParser } from './event-stream.js';

/** The page may be mounted under any prefix, and be asked for with a slash at its end. */
export function baseOf(pathname: string): string {
  return pathname.replace(/\/+$/, '');
}

/** The server says something every 15 s, if only a comment. */
const SILENCE_MS = 35_000;
const SHORTEST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;

/** Hears what comes, and why the stream has ended. */
export type StreamListener = Pick<DashboardState, 'take' | 'lose'>;

/** Listens for as long as the page is open, and begins again whenever it ends. */
export async function listen(base: string, state: StreamListener): Promise<never> {
  let pause = SHORTEST_PAUSE_MS;
  for (;;) {
    const why = await follow(`${base}/stream`, state, () => (pause = SHORTEST_PAUSE_MS));
    state.lose(why);
    await pausedFor(pause);
    pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
  }
}

/** Returns why it ended. */
async function follow(url: string, state: StreamListener, begun: () => void): Promise<string> {
  const controller = new AbortController();
  let heard = Date.now();
  const giveUpOnSilence = () => {
    if (!document.hidden && Date.now() - heard > SILENCE_MS) controller.abort();
  };
  const timer = setInterval(giveUpOnSilence, 1_000);
  document.addEventListener('visibilitychange', giveUpOnSilence);
  try {
    const headers = { accept: 'text/event-stream' };
    const response = await fetch(url, { headers, cache: 'no-store', signal: controller.signal });
    if (!response.ok || response.body === null) return refusal(response.status);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new StreamParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'The server ended the stream.';
      heard = Date.now();
      for (const { event, data } of parser.push(value)) {
        state.take(event, data);
        if (event === 'ready') begun();
      }
    }
  } catch {
    return controller.signal.aborted
      ? `Nothing came for ${SILENCE_MS / 1_000} s.`
      : 'The server cannot be reached.';
  } finally {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', giveUpOnSilence);
    controller.abort();
  }
}

function refusal(status: number): string {
  if (status === 401 || status === 403) {
    return `The server refused the stream (${status}): reload the page to sign in again.`;
  }
  return `The server answered ${status}.`;
}

/** Who looks at the page again, or has a network again, does not wait. */
function pausedFor(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const controller = new AbortController();
    const end = () => {
      clearTimeout(timer);
      controller.abort();
      resolve();
    };
    const timer = setTimeout(end, ms);
    const seen = () => {
      if (!document.hidden) end();
    };
    addEventListener('online', end, { signal: controller.signal });
    document.addEventListener('visibilitychange', seen, { signal: controller.signal });
  });
}

const ACTION_TIMEOUT_MS = 60_000;

/** Never rejects: what is not known is said. */
export async function perform(base: string, action: DashboardAction): Promise<ActionResult> {
  let status: number;
  try {
    const response = await fetch(`${base}/actions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-leader-dashboard': '1' },
      body: JSON.stringify(action),
      signal: AbortSignal.timeout(ACTION_TIMEOUT_MS),
    });
    status = response.status;
    const result = (await response.json()) as Partial<ActionResult>;
    if (typeof result.message === 'string') {
      return { isDone: result.isDone === true, message: result.message };
    }
  } catch {
    status ??= 0;
  }
  const message =
    status === 0
      ? 'The server did not answer, so it is not known whether it was done. Look at the page before you ask again.'
      : `The server answered ${status} and did not say what came of it.`;
  return { isDone: false, message };
}
