import type { Course, Led } from './term-history.js';
import { dayOf, milliseconds, twoDigits } from './words.js';

interface Bar {
  readonly x: number;
  readonly width: number;
}

interface GapMark extends Bar {
  readonly length: number;
  readonly isNow: boolean;
  /** As short as a handover is that nothing went wrong with. */
  readonly isShort: boolean;
  /** Its length; empty where the label of a longer one is. */
  readonly label: string;
  readonly labelX: number;
}

interface Lane {
  readonly holder: string;
  readonly bars: readonly (Bar & { readonly isNow: boolean })[];
}

export interface TimelineLayout {
  readonly lanes: readonly Lane[];
  /** How many led in this range and have no lane. */
  readonly hiddenLanes: number;
  readonly gaps: readonly GapMark[];
  readonly unseen: readonly Bar[];
  readonly ticks: readonly { readonly x: number; readonly label: string }[];
}

export interface TimelineSpace {
  readonly start: number;
  readonly end: number;
  /** Pixels. */
  readonly width: number;
  readonly mostLanes: number;
  /** Milliseconds: a gap that is no longer is that of a handover. */
  readonly handoverMs: number;
  /** Of the page, beside that of a laptop. */
  readonly zoom: number;
  /** Have a lane even if they did not lead. */
  readonly members: readonly string[];
}

const LEAST_BAR = 2;
const LEAST_GAP = 4;
/** Of a digit of a label. */
const DIGIT = 7;

/** Where everything is. What is shorter than a pixel is still seen, and what two neighbours share is drawn once. */
export function timelineLayout(course: Course, space: TimelineSpace): TimelineLayout {
  const { start, end, width } = space;
  const scale = width / (end - start);
  const at = (time: number) => (Math.min(end, Math.max(start, time)) - start) * scale;
  const isIn = ({ from, to }: { from: number; to: number }) => to >= start && from <= end;
  const bar = (one: { from: number; to: number }, least: number): Bar => {
    const x = Math.min(at(one.from), width - least);
    return { x: round(x), width: round(Math.max(least, at(one.to) - x)) };
  };

  const byHolder = new Map<string, Led[]>();
  for (const led of course.led) {
    if (!isIn(led)) continue;
    const { holder } = led.term;
    byHolder.set(holder, [...(byHolder.get(holder) ?? []), led]);
  }
  // Whoever led last is kept, and the order is that in which they began, so that a rollout goes down like stairs.
  const latest = (each: readonly Led[]) => each.at(-1)!.to;
  const kept = [...byHolder]
    .sort(([, a], [, b]) => latest(b) - latest(a))
    .slice(0, space.mostLanes)
    .sort(([, a], [, b]) => a[0]!.from - b[0]!.from);
  const others = space.members.filter((each) => !byHolder.has(each));
  const lanes = [
    ...kept.map(([holder, leds]) => ({ holder, bars: barsOf(leds, bar) })),
    ...others
      .slice(0, Math.max(0, space.mostLanes - kept.length))
      .map((holder) => ({ holder, bars: [] })),
  ];
  return {
    lanes,
    hiddenLanes: byHolder.size - kept.length,
    gaps: labelled(
      course.gaps.filter(isIn).map((gap) => ({
        ...bar(gap, LEAST_GAP),
        length: gap.to - gap.from,
        isNow: gap.isNow,
        isShort: gap.to - gap.from <= space.handoverMs,
      })),
      space,
    ),
    unseen: course.unseen.filter(isIn).map((one) => bar(one, 0)),
    ticks: ticksOf(start, end, width / space.zoom).map((time) => ({
      x: round(at(time)),
      label: hour(time, end - start),
    })),
  };
}

type ToBar = (one: { from: number; to: number }, least: number) => Bar;

function barsOf(leds: readonly Led[], toBar: ToBar): Lane['bars'] {
  const bars: (Bar & { isNow: boolean })[] = [];
  for (const led of leds) {
    const next = { ...toBar(led, LEAST_BAR), isNow: led.isNow };
    const last = bars.at(-1);
    const isTouching = last !== undefined && next.x <= last.x + last.width + 0.5;
    if (!isTouching || next.isNow) bars.push(next);
    else
      bars[bars.length - 1] = {
        ...last,
        width: round(Math.max(last.width, next.x + next.width - last.x)),
      };
  }
  return bars;
}

/** The longest are labelled first, and a label never covers another. */
function labelled(
  gaps: readonly Omit<GapMark, 'label' | 'labelX'>[],
  { width, zoom }: TimelineSpace,
): GapMark[] {
  const digit = DIGIT * zoom;
  const taken: { left: number; right: number }[] = [];
  const labels = new Map<object, { label: string; labelX: number }>();
  for (const gap of [...gaps].sort((a, b) => b.length - a.length)) {
    const label = milliseconds(gap.length);
    const half = (label.length * digit) / 2;
    const labelX = round(Math.min(width - half, Math.max(half, gap.x + gap.width / 2)));
    const [left, right] = [labelX - half - digit, labelX + half + digit];
    if (taken.some((other) => left < other.right && right > other.left)) continue;
    taken.push({ left, right });
    labels.set(gap, { label, labelX });
  }
  return gaps.map((gap) => ({ ...gap, label: '', labelX: 0, ...labels.get(gap) }));
}

const MINUTE = 60_000;
const DAY = 1_440;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, DAY, 2 * DAY, 7 * DAY, 28 * DAY];
const TICK_SPACE = 88;

/** Full hours and parts of them by the clock on the reader's wall. */
export function ticksOf(start: number, end: number, width: number): number[] {
  const least = ((end - start) / MINUTE) * (TICK_SPACE / width);
  const step = (STEPS.find((each) => each >= least) ?? STEPS.at(-1)!) * MINUTE;
  const offset = new Date(end).getTimezoneOffset() * MINUTE;
  const ticks: number[] = [];
  for (let at = Math.ceil((start - offset) / step) * step + offset; at <= end; at += step) {
    ticks.push(at);
  }
  return ticks;
}

function hour(time: number, range: number): string {
  const date = new Date(time);
  if (range > 3 * DAY * MINUTE) return dayOf(date);
  return `${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}`;
}

/** Tenths of a pixel are enough, and keep the markup short. */
function round(value: number): number {
  return Math.round(value * 10) / 10;
}
