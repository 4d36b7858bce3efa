import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { RoleView } from '../dashboard-view.js';
import { onTick, state, useMedia, useTopics } from './hooks.js';
import { nameParts, seconds, setting } from './words.js';

/** Text that depends on the time. It is written into its element, and nothing else is rendered for it. */
export function Live({ say }: { readonly say: (now: number) => string }) {
  const element = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    const write = () => {
      const text = say(state.now());
      if (element.current!.textContent !== text) element.current!.textContent = text;
    };
    write();
    return onTick(write);
  });
  return <span ref={element} />;
}

/** The mark of a process is shown where two have one name, and is in the way otherwise. */
export function Name({ identity }: { readonly identity: string }) {
  const { name, mark } = nameParts(identity);
  return (
    <span class="name" title={identity}>
      {name}
      {state.hasTwin(identity) ? <small> {mark}</small> : null}
    </span>
  );
}

/** The same as text. */
export function nameOf(identity: string): string {
  const { name, mark } = nameParts(identity);
  return state.hasTwin(identity) ? `${name} ${mark}` : name;
}

const SIGNS = {
  good: 'M2 6.5 5 9.5 10 3',
  bad: 'M2.5 2.5l7 7M9.5 2.5l-7 7',
  warning: 'M6 1.5 11 10.5H1z',
  plain: 'M4 6a2 2 0 1 0 4 0 2 2 0 1 0-4 0z',
  paused: 'M4 2v8M8 2v8',
  running: 'M3 1.5v9L10 6z',
};
export type Sign = keyof typeof SIGNS;

/** A sign that means the same without its colour; what it means is beside it in words. */
export function Glyph({ sign }: { readonly sign: Sign }) {
  return (
    <svg class={`glyph is-${sign}`} viewBox="0 0 12 12" aria-hidden="true">
      <path d={SIGNS[sign]} />
    </svg>
  );
}

interface Containing {
  readonly children: ComponentChildren;
}

export function Notice({ tone, children }: Containing & { readonly tone: 'warning' | 'bad' }) {
  return (
    <p class="notice">
      <Glyph sign={tone} />
      <span>{children}</span>
    </p>
  );
}

/** A part of the page: its heading, what is said beside it, and what can be chosen. */
export function Section(
  props: Containing & {
    readonly id: string;
    readonly title: string;
    readonly aside?: ComponentChildren;
    readonly controls?: ComponentChildren;
  },
) {
  const { id, title, aside, controls, children } = props;
  return (
    <section class={id} aria-labelledby={id}>
      <header>
        <h3 id={id}>{title}</h3>
        {aside ? <p>{aside}</p> : null}
        {controls}
      </header>
      {children}
    </section>
  );
}

/** What is longer than its place; the keyboard reaches it too. */
export function Scroll({ by, children }: Containing & { readonly by: string }) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-labelledby={by}>
      {children}
    </div>
  );
}

export function Table({ heads, children }: Containing & { readonly heads: readonly string[] }) {
  return (
    <table>
      <thead>
        <tr>
          {heads.map((head) => (
            <th key={head} scope="col">
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  );
}

/** What fills a gap without a leader, in the colour that the style gives this id. */
export function Hatch({ id }: { readonly id: string }) {
  return (
    <pattern
      id={id}
      width="6"
      height="6"
      patternUnits="userSpaceOnUse"
      patternTransform="rotate(45)"
    >
      <path d="M0 0v6" />
    </pattern>
  );
}

/** For how long there has been a leader, or none. */
export function LeaderFor({ isVacant, children }: Containing & { readonly isVacant: boolean }) {
  return (
    <div class="for">
      <p class="eyebrow">{isVacant ? 'Without a leader for' : 'Leader for'}</p>
      <p class="display">{children}</p>
    </div>
  );
}

/** One that is not possible now keeps its place and the focus. */
export function Button({
  isPossible = true,
  onPress,
  ...rest
}: Containing & {
  readonly class?: string;
  readonly isPossible?: boolean;
  readonly onPress: () => void;
}) {
  return (
    <button
      type="button"
      aria-disabled={!isPossible}
      onClick={() => {
        if (isPossible) onPress();
      }}
      {...rest}
    />
  );
}

/** A choice of one, as radio buttons that look like one control. */
export function Choice<Value extends string>({
  name,
  legend,
  value,
  options,
  onChoose,
}: {
  readonly name: string;
  readonly legend: string;
  readonly value: Value;
  readonly options: readonly (readonly [Value, ComponentChildren])[];
  readonly onChoose: (value: Value) => void;
}) {
  return (
    <fieldset class="choice">
      <legend class="unseen">{legend}</legend>
      {options.map(([option, label]) => (
        <label key={option}>
          <input
            type="radio"
            name={name}
            checked={option === value}
            onChange={() => onChoose(option)}
          />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  );
}

/**
 * Shrinks until the next renewal. The browser does it by itself between two parts; who wants less motion sees it step once a
 * second.
 */
export function Validity({ view }: { readonly view: RoleView }) {
  useTopics('connection');
  const bar = useRef<HTMLDivElement>(null);
  const isStill = useMedia('(prefers-reduced-motion: reduce)') || state.connection.kind !== 'live';
  const { validity, at } = view;
  useLayoutEffect(() => {
    const element = bar.current!;
    const ofMs = validity?.ofMs ?? 1;
    const scaled = (left: number) => `scaleX(${left / ofMs})`;
    const step = () => {
      const left = validityLeft(view, state.now());
      element.classList.toggle('is-late', isLate(view, left));
      if (isStill) element.style.transform = scaled(Math.floor(left / 1_000) * 1_000);
    };
    step();
    const ends = [onTick(step)];
    if (!isStill) {
      const left = validityLeft(view, state.now());
      const frames = [{ transform: scaled(left) }, { transform: scaled(0) }];
      const shrinking = element.animate(frames, { duration: left, fill: 'forwards' });
      ends.push(() => shrinking.cancel());
    }
    return () => ends.forEach((end) => end());
  }, [at, validity?.remainingMs, validity?.ofMs, isStill]);
  return (
    <div class="track">
      <div ref={bar} class="rest" />
    </div>
  );
}

function validityLeft({ validity, at }: RoleView, now: number): number {
  if (validity === null) return 0;
  return Math.min(validity.ofMs, Math.max(0, validity.remainingMs - (now - at)));
}

/** Two renewals in a row have not come. */
function isLate({ validity, timing }: RoleView, left: number): boolean {
  return (
    validity !== null &&
    left < Math.min(validity.ofMs - 2 * timing.retryPeriodMs, validity.ofMs / 2)
  );
}

export function validityInWords(view: RoleView, now: number): string {
  if (view.leader === null) return 'No replica holds the lease';
  if (view.validity === null) return 'How long the lease is valid is not known';
  const left = validityLeft(view, now);
  const whole = setting(view.validity.ofMs);
  if (left === 0) return `Not renewed for ${whole}: the leader has given up or is gone`;
  const time = `${left === view.validity.ofMs ? whole : seconds(left)} of ${whole}`;
  return isLate(view, left) ? `Renewal is late: valid for ${time}` : `Valid for ${time}`;
}
