import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { onTick, useMedia, useWidth } from '../../../../lib/dashboard/page/hooks.js';
import { Button, Glyph, Hatch, Section, type Sign } from '../../../../lib/dashboard/page/parts.js';
import { count, milliseconds, timeOfDay } from '../../../../lib/dashboard/page/words.js';
import type {
  FleetView,
  ReplicaAction,
  ReplicaView,
  TermView,
  TickState,
  TickView,
} from '../fleet-view.js';
import { room } from './room.js';
import { ACTIONS, proofOf, stateOf } from './words.js';

const MARKS: Readonly<Record<Exclude<TickState, 'due'>, string>> = {
  ran: 'M-4.5 0a4.5 4.5 0 1 0 9 0 4.5 4.5 0 1 0-9 0z',
  'caught-up': 'M0-6 6 0 0 6-6 0z',
  missed: 'M-4 0a4 4 0 1 0 8 0 4 4 0 1 0-8 0z',
  twice: 'M-5-5 5 5M5-5-5 5',
  interrupted: 'M0-5 5.5 4.5h-11z',
};
const DUE = 'M-1.5 0a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0z';

/** From times to pixels; what is drawn moves to the left as one, so that a tick is drawn once. */
interface Scale {
  readonly width: number;
  readonly zoom: number;
  readonly x: (at: number) => number;
  readonly first: number;
  readonly origin: number;
  readonly perMs: number;
}

const HALF_LANE = 16;
/** From here to the left, so that the mark of the present tick is whole. */
const RIGHT = 10;
let origin = 0;

export function Lanes({ view }: { readonly view: FleetView }) {
  const [ref, whole, zoom] = useWidth();
  const isWide = whole >= 640 * zoom;
  const width = isWide ? whole - 208 * zoom : whole;
  const seconds = isWide ? 60 : 30;
  origin ||= view.now;
  const perMs = width / (seconds * 1_000);
  const scale: Scale = {
    width,
    zoom,
    origin,
    perMs,
    x: (at) => Math.round((at - origin) * perMs * 10) / 10,
    first: view.now - seconds * 1_000 - 2_000,
  };
  const ticks = view.ticks.filter(({ tick }) => tick >= scale.first);
  return (
    <Section id="ticks" title="Ticks" aside={<span id="proof">{proofOf(view.counts)}</span>}>
      <Figures view={view} />
      <div ref={ref} class="lanes">
        {whole === 0 ? null : (
          <>
            <div class="lane is-all">
              <p class="about">
                <b>All replicas</b>
                <span class="soft">one tick a second</span>
              </p>
              <Chart scale={scale} label={proofOf(view.counts)} head={24}>
                <Gaps view={view} scale={scale} isNamed />
                <Marks ticks={ticks} scale={scale} />
              </Chart>
            </div>
            {view.replicas.map((replica) => (
              <LaneOf key={replica.name} {...{ replica, view, ticks, scale }} />
            ))}
            <div class="lane is-axis">
              <p class="about" />
              <Chart scale={scale} label="Times" head={-8}>
                <Axis scale={scale} now={view.now} />
              </Chart>
            </div>
          </>
        )}
      </div>
    </Section>
  );
}

/** The legend of the marks, each with how many there are. */
function Figures({ view: { counts } }: { readonly view: FleetView }) {
  const rows: readonly (readonly [Exclude<TickState, 'due'>, number, string])[] = [
    ['ran', counts?.ran ?? 0, 'ran once'],
    ['caught-up', counts?.caughtUp ?? 0, 'of them late, caught up'],
    ['twice', counts?.twice ?? 0, 'ran twice'],
    ['missed', counts?.missed ?? 0, 'missed'],
    ['interrupted', counts?.interrupted ?? 0, 'claimed, end unknown'],
  ];
  return (
    <ul class="figures">
      {rows.map(([state, value, label]) => (
        <li key={state} data-state={state}>
          <svg class={`mark is-${state}`} viewBox="-8 -8 16 16" aria-hidden="true">
            <path d={MARKS[state]} />
          </svg>
          <b>{count(value)}</b>
          <span>{label}</span>
        </li>
      ))}
    </ul>
  );
}

function LaneOf(props: {
  readonly replica: ReplicaView;
  readonly view: FleetView;
  readonly ticks: readonly TickView[];
  readonly scale: Scale;
}) {
  const { replica, view, ticks, scale } = props;
  const { name, pid, dashboard, state } = replica;
  const isLeader = view.leader?.replica === name && state !== 'ended';
  const own = ticks.filter(({ replicas }) => replicas.includes(name));
  const says = stateOf(replica, view.leader);
  return (
    <article class={isLeader ? 'lane is-leader' : 'lane'} aria-labelledby={name} data-state={state}>
      <div class="about">
        <h4 id={name}>{name}</h4>
        <p class="is">
          <Glyph sign={signOf(replica, isLeader)} /> {says}
        </p>
        <p class="soft">
          {pid === null ? 'no process' : `pid ${pid}`}
          {dashboard === null ? null : (
            <>
              {' · '}
              <a href={dashboard} target="_blank" rel="noopener">
                dashboard<span class="unseen"> of {name}</span>
              </a>
            </>
          )}
        </p>
      </div>
      <div>
        <Chart
          scale={scale}
          label={`${name} ${says}; it ran ${own.length} of the ${ticks.length} latest ticks.`}
        >
          <Gaps view={view} scale={scale} />
          <Conditions replica={replica} scale={scale} now={view.now} />
          <Led terms={view.terms} name={name} scale={scale} now={view.now} />
          <Marks ticks={own} scale={scale} />
        </Chart>
        <Actions replica={replica} />
      </div>
    </article>
  );
}

function signOf({ state, isCut, end }: ReplicaView, isLeader: boolean): Sign {
  if (state === 'ended') return end === 'SIGTERM' ? 'plain' : 'bad';
  if (state === 'frozen') return 'paused';
  if (state === 'blocked' || isCut) return 'warning';
  return isLeader ? 'running' : state === 'running' ? 'good' : 'plain';
}

/** Each has a place of its own, so that no finger that is quick presses another. */
const PLACES: readonly (readonly ReplicaAction[])[] = [
  ['kill'],
  ['stop'],
  ['freeze', 'thaw'],
  ['cut', 'heal'],
  ['block'],
  ['start'],
];

function Actions({ replica: { name, can, isCut } }: { readonly replica: ReplicaView }) {
  return (
    <div class="buttons" role="group" aria-label={`What to do with ${name}`}>
      {PLACES.map(([first, second]) => {
        const other =
          second !== undefined && (can.includes(second) || (second === 'heal' && isCut));
        const action = other ? second : first!;
        return (
          <Button
            key={first}
            isPossible={can.includes(action)}
            onPress={() => void room.act({ action, replica: name })}
          >
            {ACTIONS[action]}
            <span class="unseen"> {name}</span>
          </Button>
        );
      })}
    </div>
  );
}

function Chart(props: {
  readonly scale: Scale;
  readonly label: string;
  readonly head?: number;
  readonly children: ComponentChildren;
}) {
  const { scale, label, head = 0, children } = props;
  const { width, zoom } = scale;
  const group = useRef<SVGGElement>(null);
  useMoving(group, scale);
  return (
    <svg
      class="ticks"
      role="img"
      aria-label={label}
      width={width}
      height={(2 * HALF_LANE + head) * zoom}
    >
      <Hatch id="hatch" />
      <g ref={group}>
        <g transform={`translate(0 ${(HALF_LANE + head) * zoom})`}>{children}</g>
      </g>
    </svg>
  );
}

/** The present is at the right edge. Who wants less motion sees it step once a second. */
function useMoving(group: { current: SVGGElement | null }, scale: Scale): void {
  const isStill = useMedia('(prefers-reduced-motion: reduce)');
  const latest = useRef(scale);
  latest.current = scale;
  useLayoutEffect(() => {
    let frame = 0;
    let shown = NaN;
    const move = () => {
      const { width, zoom, origin: start, perMs } = latest.current;
      const now = isStill ? Math.ceil(room.now() / 1_000) * 1_000 : room.now();
      const left = Math.round((width - RIGHT * zoom - (now - start) * perMs) * 4) / 4;
      if (left !== shown) group.current?.setAttribute('transform', `translate(${left} 0)`);
      shown = left;
    };
    move();
    if (isStill) return onTick(move);
    const next = () => {
      move();
      frame = requestAnimationFrame(next);
    };
    frame = requestAnimationFrame(next);
    return () => cancelAnimationFrame(frame);
  }, [isStill, scale.width]);
}

function Marks({
  ticks,
  scale: { x, zoom },
}: {
  readonly ticks: readonly TickView[];
  readonly scale: Scale;
}) {
  return (
    <>
      {ticks.map(({ tick, state }) => (
        <path
          key={tick}
          class={`mark is-${state}`}
          data-tick={tick}
          d={state === 'due' ? DUE : MARKS[state]}
          transform={`translate(${x(tick)} 0) scale(${zoom})`}
        />
      ))}
    </>
  );
}

/** When the process ran, and when its code stood still or its requests did not arrive. */
function Conditions({
  replica: { spans },
  scale,
  now,
}: {
  replica: ReplicaView;
  scale: Scale;
  now: number;
}) {
  return (
    <>
      {spans
        .filter(({ to }) => to === null || to > scale.first)
        .map(({ kind, from, to }) => {
          const start = scale.x(Math.max(from, scale.first));
          // Beyond the edge, where the present comes from.
          const end = scale.x(to ?? now + 5_000);
          return kind === 'halted' ? (
            <path
              key={`${kind}${from}`}
              class="halted"
              d={`M${start} ${-7 * scale.zoom}H${end}v${14 * scale.zoom}H${start}z`}
            />
          ) : (
            <path key={`${kind}${from}`} class={`is-${kind}`} d={`M${start} 0H${end}`} />
          );
        })}
    </>
  );
}

function Led({
  terms,
  name,
  scale,
  now,
}: {
  terms: readonly TermView[];
  name: string;
  scale: Scale;
  now: number;
}) {
  return (
    <>
      {terms
        .filter(({ replica, to }) => replica === name && (to === null || to > scale.first))
        .map(({ term, from, to }) => (
          <path
            key={`${term} ${from}`}
            class={to === null ? 'led is-now' : 'led'}
            d={`M${scale.x(Math.max(from, scale.first))} 0H${scale.x(to ?? now + 5_000)}`}
          />
        ))}
    </>
  );
}

const SHORT_MS = 1_000;

function Gaps({
  view,
  scale,
  isNamed = false,
}: {
  view: FleetView;
  scale: Scale;
  isNamed?: boolean;
}) {
  const { zoom } = scale;
  const gaps = view.terms
    .filter(({ gapMs, from }) => gapMs !== null && gapMs > 0 && from > scale.first)
    .map(({ from, gapMs }) => ({ from: from - gapMs!, to: from, gapMs: gapMs! }));
  if (view.leaderlessSince !== null) {
    gaps.push({ from: view.leaderlessSince, to: view.now, gapMs: view.now - view.leaderlessSince });
  }
  const named = isNamed ? namedOf(gaps, scale) : new Set();
  return (
    <>
      {gaps.map(({ from, to, gapMs }) => {
        const [start, end] = [scale.x(from), scale.x(to)];
        const half = HALF_LANE * zoom;
        return (
          <g key={from} class={gapMs < SHORT_MS ? 'gap is-short' : 'gap'}>
            <path d={`M${start} ${-half}H${Math.max(end, start + 2)}V${half}H${start}z`} />
            {named.has(from) ? (
              <text x={(start + end) / 2} y={-half - 6 * zoom} text-anchor="middle">
                {milliseconds(gapMs)}
              </text>
            ) : null}
          </g>
        );
      })}
    </>
  );
}

const LABEL_WIDTH = 68;

/** The beginnings of the gaps whose lengths have room: the longer ones first. */
function namedOf(gaps: readonly { from: number; to: number; gapMs: number }[], scale: Scale) {
  const placed: { readonly from: number; readonly x: number }[] = [];
  for (const { from, to } of [...gaps].sort((a, b) => b.gapMs - a.gapMs)) {
    const x = scale.x((from + to) / 2);
    const hasRoom = placed.every((other) => Math.abs(other.x - x) > LABEL_WIDTH * scale.zoom);
    if (hasRoom) placed.push({ from, x });
  }
  return new Set(placed.map(({ from }) => from));
}

function Axis({ scale, now }: { readonly scale: Scale; readonly now: number }) {
  const times: number[] = [];
  for (let at = Math.ceil(scale.first / 10_000) * 10_000; at <= now; at += 10_000) times.push(at);
  return (
    <>
      {times.map((at) => (
        <g key={at}>
          <path class="line" d={`M${scale.x(at)} ${-8 * scale.zoom}v${5 * scale.zoom}`} />
          <text x={scale.x(at)} y={9 * scale.zoom} text-anchor="middle">
            {timeOfDay(at)}
          </text>
        </g>
      ))}
    </>
  );
}
