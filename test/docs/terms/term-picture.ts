import type { Story, ToldTerm } from './term-story.js';

/** A word about an instant, in the lane of a process. */
interface Caption {
  readonly at: number;
  readonly lane: 0 | 1;
  readonly title: string;
  readonly lines: readonly string[];
  /** In a narrow picture, where captions stand below one another: how far from its instant. */
  readonly shift?: number;
}

export interface Scene {
  readonly title: string;
  readonly subtitle: string;
  readonly story: Story;
  readonly untilMs: number;
  readonly renewDeadlineMs: number;
  readonly captions: readonly Caption[];
  /** From when until when no process leads, where that is to be seen. */
  readonly gap?: readonly [from: number, until: number];
  /** How long a candidate waits, and since when. */
  readonly wait?: {
    readonly from: number;
    readonly until: number;
    readonly lines: readonly [string, string];
  };
  /** What the standby does meanwhile. */
  readonly standby?: string;
  /** What a leader does whose term has ended, and when that is said. */
  readonly drain?: { readonly at: number; readonly words: string };
}

/** Light and dark, by their names in the style sheet of the dashboard. */
export type Palette = Readonly<Record<string, readonly [light: string, dark: string]>>;

const LANES = ['replica a', 'replica b'];

/** The palette of the dashboard, so that no picture has colours of its own. */
export function paletteOf(css: string): Palette {
  const colours = css.matchAll(/--(\w+): light-dark\((#\w+), (#\w+)\)/g);
  return Object.fromEntries(
    [...colours].map(([, name, light, dark]) => [name!, [light!, dark!] as const]),
  );
}

/** Time from left to right, for a screen that is wide enough. */
export function drawWide(scene: Scene, palette: Palette): string {
  const width = 960;
  const edge = 32;
  const left = 128;
  const tall = 64;
  const bases = [212, 364];
  const axisY = 392;
  const x = (ms: number): number => left + ((width - edge - left) * ms) / scene.untilMs;
  const y = (lane: number, validMs: number): number =>
    bases[lane]! - (tall * validMs) / scene.renewDeadlineMs;
  const frame: Frame = {
    point: (lane, ms, validMs) => [x(ms), y(lane, validMs)],
    scene,
  };
  const parts = [
    rect(edge, 28, width - 2 * edge, 2, 'rule'),
    text(
      edge,
      58,
      scene.title,
      'title',
      ` <tspan class="soft light" dx="8">${scene.subtitle}</tspan>`,
    ),
    ...gapOf(scene, (from, until) => [
      ...bases.map((base) => rect(x(from), base - tall, x(until) - x(from), tall, 'hatch')),
      text(
        (x(from) + x(until)) / 2,
        bases[1]! - tall - 12,
        inMs(until - from),
        'alert code middle',
      ),
      text((x(from) + x(until)) / 2, bases[1]! - tall - 30, 'no leader', 'alert middle strong'),
    ]),
    ...bases.flatMap((base, lane) => [
      line(edge, base, width - edge, base, 'line'),
      text(edge, base - 12, LANES[lane]!, 'strong'),
      ...barsOf(frame, lane),
    ]),
    text(width - edge, 58, meaning('height'), 'soft end'),
    ...scene.story.terms.map(({ holder, grantedAt }) =>
      text(x(grantedAt) + 12, bases['ab'.indexOf(holder)]! - 12, 'leads', 'on-accent strong'),
    ),
    ...standbyOf(scene, (words) => text(left, bases[1]! - 12, words, 'soft')),
    ...drainOf(scene, ({ at, words }) => text(x(at) + 8, bases[0]! - 26, words, 'soft')),
    ...waitOf(scene, ({ from, until, lines }) => [
      line(x(from), bases[1]! - 10, x(until), bases[1]! - 10, 'wait'),
      line(x(from), bases[1]! - 16, x(from), bases[1]! - 4, 'wait'),
      line(x(until), bases[1]! - 16, x(until), bases[1]! - 4, 'wait'),
      text(x(from) + 10, bases[1]! - 22, lines.join(' '), 'soft'),
    ]),
    ...scene.captions.flatMap(({ at, lane, title, lines }) => {
      const top = bases[lane]! - tall - 18 - 18 * lines.length;
      return [
        line(x(at), top - 12, x(at), bases[lane]! - (leadsAt(scene, lane, at) ? tall : 0), 'lead'),
        text(x(at) + 8, top, title, 'strong'),
        ...lines.map((words, index) => text(x(at) + 8, top + 18 * (index + 1), words, 'soft')),
      ];
    }),
    ...seconds(scene, 2).flatMap((ms) => [
      line(x(ms), axisY - 8, x(ms), axisY - 3, 'mid'),
      text(x(ms), axisY + 14, ms === 0 ? '0 s' : String(ms / 1_000), 'soft code middle'),
    ]),
    line(left, axisY - 8, width - edge, axisY - 8, 'line'),
  ];
  return svg(width, axisY + 36, parts, palette, scene);
}

/** Time from top to bottom, for a phone. */
export function drawNarrow(scene: Scene, palette: Palette): string {
  const width = 360;
  const edge = 16;
  const top = 146;
  const wide = 44;
  const perSecond = scene.untilMs > 20_000 ? 36 : 48;
  const bases = [56, 116];
  const words = 180;
  const y = (ms: number): number => top + (perSecond * ms) / 1_000;
  const bottom = y(scene.untilMs);
  const frame: Frame = {
    point: (lane, ms, validMs) => [bases[lane]! + (wide * validMs) / scene.renewDeadlineMs, y(ms)],
    scene,
  };
  const parts = [
    rect(edge, 20, width - 2 * edge, 2, 'rule'),
    text(edge, 48, scene.title, 'title'),
    text(edge, 68, scene.subtitle, 'soft'),
    text(edge, 92, meaning('width'), 'soft'),
    ...drainOf(scene, ({ at, words: drain }) => text(words, y(at) + 66, drain, 'soft')),
    ...bases.map((base, lane) => text(base, top - 12, LANES[lane]!.split(' ').at(-1)!, 'strong')),
    ...gapOf(scene, (from, until) => [
      ...bases.map((base) => rect(base, y(from), wide, y(until) - y(from), 'hatch')),
      text(words, (y(from) + y(until)) / 2 + 4, 'no leader', 'alert strong'),
      text(words, (y(from) + y(until)) / 2 + 22, inMs(until - from), 'alert code'),
    ]),
    ...bases.flatMap((base, lane) => [
      line(base, top, base, bottom, 'line'),
      ...barsOf(frame, lane),
    ]),
    ...waitOf(scene, ({ from, until, lines }) => [
      ...lines.map((each, index) =>
        text(words, (y(from) + y(until)) / 2 - 40 + 18 * index, each, 'soft'),
      ),
      line(bases[1]! + 10, y(from), bases[1]! + 10, y(until), 'wait'),
      line(bases[1]! + 4, y(from), bases[1]! + 16, y(from), 'wait'),
      line(bases[1]! + 4, y(until), bases[1]! + 16, y(until), 'wait'),
    ]),
    ...scene.captions.flatMap(({ at, lane, title, lines, shift = 0 }) => [
      line(bases[lane]! + (leadsAt(scene, lane, at) ? wide : 0), y(at), words - 8, y(at), 'lead'),
      text(words, y(at) + 5 + shift, title, 'strong'),
      ...lines.map((each, index) =>
        text(words, y(at) + 5 + shift + 18 * (index + 1), each, 'soft'),
      ),
    ]),
    ...seconds(scene, 2).map((ms) =>
      text(edge, y(ms) + 4, ms === 0 ? '0 s' : String(ms / 1_000), 'soft code'),
    ),
  ];
  return svg(width, bottom + 24, parts, palette, scene);
}

interface Frame {
  /** Where a process is at an instant, so many milliseconds before its leadership would end. */
  readonly point: (lane: number, ms: number, validMs: number) => readonly [number, number];
  readonly scene: Scene;
}

function barsOf({ point, scene }: Frame, lane: number): string[] {
  const holder = 'ab'[lane]!;
  const own = scene.story.terms.filter((term) => term.holder === holder);
  return own.flatMap((term) => {
    const until = Math.min(term.endedAt ?? Infinity, scene.untilMs);
    const outline = [
      point(lane, term.grantedAt, 0),
      ...edgeOf(term, until).map(([ms, validMs]) => point(lane, ms, validMs)),
      point(lane, until, 0),
    ];
    return [polygon(outline, 'leads'), ...drainBarOf(term)];
  });

  function drainBarOf({ endedAt, releasedAt, drainRenewals }: ToldTerm): string[] {
    if (endedAt === undefined || releasedAt === undefined) return [];
    const thin = scene.renewDeadlineMs / 4;
    const corners = [
      point(lane, endedAt, 0),
      point(lane, endedAt, thin),
      point(lane, releasedAt, thin),
      point(lane, releasedAt, 0),
    ];
    const dots = drainRenewals.map((ms) => dot(point(lane, ms, thin / 2)));
    return [polygon(corners, 'drains'), ...dots];
  }
}

/** How long leadership is still valid, as it shrinks and each renewal extends it. */
function edgeOf(term: ToldTerm, until: number): [ms: number, validMs: number][] {
  return term.validity.flatMap((span, index) => {
    const from = Math.max(span.since, term.grantedAt);
    const to = Math.min(term.validity[index + 1]?.since ?? Infinity, until);
    return [
      [from, span.until - from],
      [to, span.until - to],
    ] as [number, number][];
  });
}

function gapOf({ gap }: Scene, draw: (from: number, until: number) => string[]): string[] {
  return gap === undefined ? [] : draw(...gap);
}

function waitOf({ wait }: Scene, draw: (wait: NonNullable<Scene['wait']>) => string[]): string[] {
  return wait === undefined ? [] : draw(wait);
}

function drainOf({ drain }: Scene, draw: (drain: NonNullable<Scene['drain']>) => string): string[] {
  return drain === undefined ? [] : [draw(drain)];
}

/** A process leads before and after the instant. */
function leadsAt({ story }: Scene, lane: number, at: number): boolean {
  return story.terms.some(
    ({ holder, grantedAt, endedAt = Infinity }) =>
      holder === 'ab'[lane] && grantedAt < at && at < endedAt,
  );
}

function meaning(size: string): string {
  return `The ${size} is how long it leads without a renewal.`;
}

function standbyOf({ standby }: Scene, draw: (words: string) => string): string[] {
  return standby === undefined ? [] : [draw(standby)];
}

function seconds({ untilMs }: Scene, step: number): number[] {
  return Array.from({ length: Math.floor(untilMs / 1_000 / step) + 1 }, (_, i) => i * step * 1_000);
}

function inMs(ms: number): string {
  return `${ms.toLocaleString('en-US')} ms`;
}

function rect(x: number, y: number, width: number, height: number, kind: string): string {
  return `<rect class="${kind}" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}"/>`;
}

function line(x1: number, y1: number, x2: number, y2: number, kind: string): string {
  return `<line class="${kind}" x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}"/>`;
}

function dot([x, y]: readonly [number, number]): string {
  return `<circle class="dot" cx="${n(x)}" cy="${n(y)}" r="3"/>`;
}

function polygon(points: readonly (readonly [number, number])[], kind: string): string {
  return `<polygon class="${kind}" points="${points.map(([x, y]) => `${n(x)},${n(y)}`).join(' ')}"/>`;
}

function text(x: number, y: number, words: string, kind: string, more = ''): string {
  return `<text class="${kind}" x="${n(x)}" y="${n(y)}">${words}${more}</text>`;
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function svg(
  width: number,
  height: number,
  parts: readonly string[],
  palette: Palette,
  { title, subtitle }: Scene,
): string {
  const colours = (theme: 0 | 1): string =>
    Object.entries(palette)
      .map(([name, shades]) => `--${name}: ${shades[theme]};`)
      .join(' ');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${n(height)}" viewBox="0 0 ${width} ${n(height)}" role="img">
<title>${title}: ${subtitle}</title>
<style>
svg { ${colours(0)} }
@media (prefers-color-scheme: dark) { svg { ${colours(1)} } }
text { font: 400 13px Inter, 'Helvetica Neue', 'Segoe UI', Helvetica, Arial, sans-serif; fill: var(--ink); }
.title { font-size: 16px; font-weight: 600; } .light { font-size: 13px; font-weight: 400; }
.strong { font-weight: 600; } .soft { fill: var(--soft); } .alert { fill: var(--alert); } .middle { text-anchor: middle; } .end { text-anchor: end; } .on-accent { fill: var(--paper); }
.code { font: 12px ui-monospace, 'JetBrains Mono', 'SF Mono', Menlo, Consolas, monospace; }
.paper { fill: var(--paper); } .rule { fill: var(--ink); }
line { stroke: var(--line); } .mid, .lead { stroke: var(--mid); } .wait { stroke: var(--soft); stroke-width: 1.5; }
.leads { fill: var(--accent); } .drains { fill: url(#drain); stroke: var(--accent); } .dot { fill: var(--paper); stroke: var(--accent); stroke-width: 1.5; }
.hatch { fill: url(#hatch); }
</style>
<defs>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2" height="6" fill="var(--alert)" opacity="0.55"/></pattern>
<pattern id="drain" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="var(--paper)"/><rect width="2" height="6" fill="var(--accent)" opacity="0.5"/></pattern>
</defs>
<rect class="paper" width="${width}" height="${n(height)}" rx="6"/>
${parts.join('\n')}
</svg>
`;
}
