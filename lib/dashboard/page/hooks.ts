import { useEffect, useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks';
import { DashboardState, type Topic } from './dashboard-state.js';

/** While much arrives, or the page is hidden and no frame is drawn. */
const SELDOM_MS = 200;

/** All changes are shown once for each frame. */
export const state: DashboardState = new DashboardState(() => {
  const flush = () => state.flush();
  if (document.hidden || state.isArriving) setTimeout(flush, SELDOM_MS);
  else requestAnimationFrame(flush);
});

/** Renders again when one of these has changed. */
export function useTopics(...topics: readonly Topic[]): void {
  const [, again] = useReducer((count: number) => count + 1, 0);
  useLayoutEffect(() => {
    const ends = topics.map((topic) => state.hear(topic, () => again(undefined)));
    return () => ends.forEach((end) => end());
  }, topics);
}

const TICK_MS = 250;
const tickers = new Set<() => void>();
setInterval(() => {
  if (!document.hidden) for (const tick of tickers) tick();
}, TICK_MS);

/** Four times a second. Returns what ends it. */
export function onTick(tick: () => void): () => void {
  tickers.add(tick);
  return () => void tickers.delete(tick);
}

/** Renders again every second. */
export function useSecond(): number {
  const [second, setSecond] = useState(() => Math.floor(state.now() / 1_000));
  useEffect(() => onTick(() => setSecond(Math.floor(state.now() / 1_000))), []);
  return second;
}

export function useMedia(query: string): boolean {
  const [list] = useState(() => matchMedia(query));
  const [matches, setMatches] = useState(list.matches);
  useEffect(() => {
    const changed = () => setMatches(list.matches);
    list.addEventListener('change', changed);
    return () => list.removeEventListener('change', changed);
  }, []);
  return matches;
}

/** The width of an element in pixels, and how large the type of the page is beside that of a laptop. */
export function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [[width, zoom], setSize] = useState<readonly [number, number]>([0, 1]);
  useLayoutEffect(() => {
    const element = ref.current!;
    const measure = () => {
      const type = parseFloat(getComputedStyle(document.documentElement).fontSize);
      setSize([Math.floor(element.clientWidth), type / 16]);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width, zoom] as const;
}
