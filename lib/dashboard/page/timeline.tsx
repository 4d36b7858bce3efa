import { useState } from 'preact/hooks';
import type { RoleView } from '../dashboard-view.js';
import { state, useSecond, useTopics, useWidth } from './hooks.js';
import { Button, Choice, Hatch, Name, nameOf, Scroll, Section, Table } from './parts.js';
import { type Course, courseOf, type TermHistory } from './term-history.js';
import { timelineLayout } from './timeline-layout.js';
import { count, counted, duration, milliseconds, moment, nameParts, shortened } from './words.js';

const MINUTE = 60_000;
const RANGES = [
  ['15', '15 min'],
  ['60', '1 h'],
  ['360', '6 h'],
  ['all', 'All'],
] as const;
type Range = (typeof RANGES)[number][0];

const MOST_LANES = 8;

export function Timeline({ view }: { readonly view: RoleView }) {
  useTopics(`terms/${encodeURIComponent(view.role)}`, 'connection');
  const [chosen, setRange] = useState<Range>();
  const [isWhole, setWhole] = useState(false);
  const [pointed, setPointed] = useState<number>();
  const [canvas, width, zoom] = useWidth();
  useSecond();

  const now = state.now() - state.ahead;
  const history = state.history(view.role);
  const course = courseOf(history, view.leader === null, now);
  const range = chosen ?? fittingRange(history, now);
  const start = startOf(range, history, now);
  // All in pixels. Above the lanes are the lengths of gaps, below them the times.
  const isWide = width >= 640 * zoom;
  const left = isWide ? 208 * zoom : 0;
  const head = 24 * zoom;
  const bar = 16 * zoom;
  const lane = (isWide ? 32 : 48) * zoom;
  const barTop = lane - bar - 8 * zoom;
  const layout = timelineLayout(course, {
    start,
    end: now,
    width: Math.max(1, width - left - 1),
    mostLanes: isWhole ? Infinity : MOST_LANES,
    members: standbysOf(view, history),
    handoverMs: view.timing.retryPeriodMs,
    zoom,
  });
  const bottom = head + layout.lanes.length * lane;
  /** Through all lanes; where names are above the bars, only through these. */
  const through = (x: number, wide: number) =>
    isWide
      ? `M${x} ${head}h${wide}V${bottom}h${-wide}z`
      : layout.lanes
          .map((_, index) => `M${x} ${head + index * lane + barTop}h${wide}v${bar}h${-wide}z`)
          .join('');
  const isEmpty = history.terms.length === 0;
  const at =
    pointed === undefined ? start : start + ((pointed - left) / (width - left)) * (now - start);
  return (
    <Section
      id="terms"
      title="Terms"
      aside={
        isEmpty ? null : pointed === undefined ? summary(course, start) : pointedAt(course, at, now)
      }
      controls={
        isEmpty ? null : (
          <Choice name="range" legend="Range" value={range} options={RANGES} onChoose={setRange} />
        )
      }
    >
      <div ref={canvas} class="chart">
        {isEmpty ? (
          <p class="empty">
            No term is known yet. The first replica that acquires the lease begins one.
          </p>
        ) : width === 0 ? null : (
          <svg
            role="img"
            aria-label={summary(course, start)}
            width={width}
            height={bottom + 24 * zoom}
            onPointerMove={({ offsetX }) => setPointed(offsetX < left ? undefined : offsetX)}
            onPointerLeave={() => setPointed(undefined)}
          >
            {['hatch', 'pale'].map((id) => (
              <Hatch key={id} id={id} />
            ))}
            <pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse">
              <path d="M2 3h2" />
            </pattern>
            {layout.lanes.map(({ holder, bars }, index) => {
              const y = head + index * lane;
              const isNow = bars.at(-1)?.isNow;
              return (
                <g key={holder} class={isNow ? 'is-leader' : ''}>
                  <path class="line" d={`M0 ${Math.round(y + lane) + 0.5}H${width}`} />
                  <text y={y + (isWide ? 21 : 15) * zoom}>
                    {shortened(nameOf(holder), ((isWide ? left : width) / zoom - 16) / 7.25)}
                  </text>
                  {bars.map((each, key) => (
                    <rect
                      key={key}
                      class={each.isNow ? 'led is-now' : 'led'}
                      x={left + each.x}
                      y={y + barTop}
                      width={each.width}
                      height={bar}
                    />
                  ))}
                </g>
              );
            })}
            {layout.unseen.map(({ x, width: wide }, key) => (
              <path key={key} class="unknown" d={through(left + x, wide)} />
            ))}
            {layout.gaps.map((gap, key) => (
              <g key={key} class={gap.isShort ? 'gap is-short' : 'gap'}>
                <path d={through(left + gap.x, gap.width)} />
                <text x={left + gap.labelX} y={16 * zoom} text-anchor="middle">
                  {gap.label}
                </text>
              </g>
            ))}
            {layout.ticks.map(({ x, label }) => (
              <g key={label + x}>
                <path class="line" d={`M${Math.round(left + x) + 0.5} ${bottom}v5`} />
                {x < 20 * zoom || left + x > width - 20 * zoom ? null : (
                  <text x={left + x} y={bottom + 20 * zoom} text-anchor="middle">
                    {label}
                  </text>
                )}
              </g>
            ))}
            {pointed === undefined ? null : (
              <path class="pointer" d={`M${Math.round(pointed) + 0.5} ${head}V${bottom}`} />
            )}
          </svg>
        )}
      </div>
      {layout.hiddenLanes > 0 || isWhole ? (
        <Button class="more" onPress={() => setWhole(!isWhole)}>
          {isWhole
            ? 'Show the latest replicas'
            : `Show ${counted(layout.hiddenLanes, 'more replica')}`}
        </Button>
      ) : null}
      {isEmpty ? null : <AsTable course={course} start={start} now={now} />}
    </Section>
  );
}

/** What has just begun would be a dot at the end of an hour. */
function fittingRange({ terms }: TermHistory, now: number): Range {
  return now - (terms[0]?.from ?? now) < 15 * MINUTE ? 'all' : '60';
}

function startOf(range: Range, { terms }: TermHistory, now: number): number {
  if (range !== 'all') return now - Number(range) * MINUTE;
  return Math.min(terms[0]?.from ?? now, now - MINUTE);
}

/** Members that never led. One is named by its pod, with which the identity of a holder begins. */
function standbysOf({ members }: RoleView, { terms }: TermHistory): string[] {
  const holders = new Set(terms.flatMap(({ holder }) => [holder, nameParts(holder).name]));
  return (members ?? []).map(({ name }) => name).filter((name) => !holders.has(name));
}

/** What the picture shows, in a sentence. */
function summary({ led, gaps }: Course, start: number): string {
  const terms = led.filter(({ to }) => to >= start);
  const holders = new Set(terms.map(({ term }) => term.holder)).size;
  const lost = gaps.filter(({ to }) => to >= start).map(({ from, to }) => to - from);
  const sum = milliseconds(lost.reduce((total, each) => total + each, 0));
  const times = lost.length === 1 ? 'once' : `${count(lost.length)} times`;
  const without =
    lost.length === 0 ? 'never without a leader' : `without a leader ${times}, ${sum} in all`;
  return `${counted(terms.length, 'term')} of ${counted(holders, 'replica')}, ${without}`;
}

function wall(at: number, now: number): string {
  return moment(at + state.ahead, now + state.ahead);
}

function pointedAt({ led, gaps }: Course, at: number, now: number): string {
  const span = (one: { from: number; to: number; isNow: boolean }) =>
    `${wall(one.from, now)} – ${one.isNow ? 'now' : wall(one.to, now)}, ${duration(one.to - one.from)}`;
  const isAt = ({ from, to }: { from: number; to: number }) => from <= at && at <= to;
  const found = led.find(isAt);
  if (found !== undefined) {
    const { term, holder, reason } = found.term;
    const end = reason === null ? '' : `, ended: ${reason}`;
    return `Term ${count(term)}, ${nameOf(holder)}, ${span(found)}${end}`;
  }
  const gap = gaps.find(isAt);
  return gap === undefined ? `${wall(at, now)}, not known` : `No leader, ${span(gap)}`;
}

const MOST_ROWS = 200;

function AsTable({ course, start, now }: { course: Course; start: number; now: number }) {
  const [isOpen, setOpen] = useState(false);
  const before = new Map(course.gaps.map((gap) => [gap.to, milliseconds(gap.to - gap.from)]));
  const rows = course.led
    .filter(({ to }) => to >= start)
    .slice(-MOST_ROWS)
    .reverse();
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>As a table</summary>
      {isOpen ? (
        <Scroll by="terms">
          <Table
            heads={['Term', 'Replica', 'From', 'Until', 'Length', 'No leader before', 'Ended by']}
          >
            {rows.map(({ term, isNow, from, to }) => (
              <tr key={`${term.term} ${from}`}>
                <th scope="row">{count(term.term)}</th>
                <td>
                  <Name identity={term.holder} />
                </td>
                <td>{wall(from, now)}</td>
                <td>{isNow ? 'now' : term.to === null ? 'unknown' : wall(to, now)}</td>
                <td>{duration(to - from)}</td>
                <td>{before.get(from) ?? '–'}</td>
                <td>{term.reason ?? '–'}</td>
              </tr>
            ))}
          </Table>
        </Scroll>
      ) : null}
    </details>
  );
}
