import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { JobView } from '../dashboard-view.js';
import { state, useMedia, useTopics } from './hooks.js';
import {
  type Column,
  COLUMNS,
  countOf,
  type Kind,
  KINDS,
  listed,
  type Order,
  rowsInView,
} from './job-list.js';
import { conditionOf, Sheet, Strip } from './job-sheet.js';
import { Button, Choice, Glyph, Live, Section } from './parts.js';
import { ago, count, countdown, counted } from './words.js';

const TITLES: Record<Column, string> = {
  job: 'Job',
  next: 'Next',
  last: 'Last tick',
  success: 'Success',
  missed: 'Missed',
};

/** From here on it is worth to search. */
const MANY = 8;

export function Jobs({ role }: { readonly role: string }) {
  useTopics(`jobs/${role}`);
  const [kind, setKind] = useState<Kind>('all');
  const [text, setText] = useState('');
  const [order, setOrder] = useState<Order>({ by: 'job', isDescending: false });
  const [opened, setOpened] = useState<string>();
  const isNarrow = useMedia('(max-width: 47.99rem)');
  const all = state.jobs(role);
  const counts = countOf(all);
  const jobs = listed(all, kind, text, order);
  const kinds = KINDS.filter((each) => each === 'all' || each === kind || counts[each] > 0);
  const sortBy = (by: Column) => {
    // Who sorts by these looks for the latest and the most.
    const isFirstDescending = by === 'missed' || by === 'last' || by === 'success';
    setOrder({ by, isDescending: order.by === by ? !order.isDescending : isFirstDescending });
  };
  return (
    <Section
      id="jobs"
      title="Jobs"
      controls={
        <>
          {kinds.length === 1 ? null : (
            <Choice
              name="kind"
              legend="Which jobs"
              value={kind}
              onChoose={setKind}
              options={kinds.map((each) => [
                each,
                <>
                  {each[0]!.toUpperCase() + each.slice(1)} <small>{count(counts[each])}</small>
                </>,
              ])}
            />
          )}
          {all.length <= MANY ? null : (
            <input
              type="search"
              aria-label="Find a job"
              placeholder="Find a job"
              value={text}
              onInput={({ currentTarget }) => setText(currentTarget.value)}
            />
          )}
          {isNarrow && all.length > MANY ? (
            <select
              aria-label="Sort by"
              value={order.by}
              onChange={({ currentTarget }) => sortBy(currentTarget.value as Column)}
            >
              {COLUMNS.map((by) => (
                <option key={by} value={by}>
                  {TITLES[by]}
                </option>
              ))}
            </select>
          ) : null}
        </>
      }
    >
      {all.length === 0 ? (
        <p class="empty">
          No jobs. A method with <code>@LeaderCron</code> of this role appears here as soon as the
          leader has scheduled it.
        </p>
      ) : jobs.length === 0 ? (
        <p class="empty">
          None of {counted(all.length, 'job')} fits.{' '}
          <Button
            class="more"
            onPress={() => {
              setKind('all');
              setText('');
            }}
          >
            Show all
          </Button>
        </p>
      ) : (
        <Rows jobs={jobs} order={order} onSort={sortBy} isNarrow={isNarrow} onOpen={setOpened} />
      )}
      {opened === undefined ? null : (
        <Sheet role={role} job={opened} onClose={() => setOpened(undefined)} />
      )}
    </Section>
  );
}

interface RowsProps {
  readonly jobs: readonly JobView[];
  readonly order: Order;
  readonly isNarrow: boolean;
  readonly onSort: (by: Column) => void;
  readonly onOpen: (job: string) => void;
}

/** Only the rows that are seen are in the document, and the one that has the focus, which would be lost with it. */
function Rows({ jobs, order, isNarrow, onSort, onOpen }: RowsProps) {
  const box = useRef<HTMLDivElement>(null);
  const [{ first, end, height }, setView] = useState({ first: 0, end: 24, height: 0 });
  const [focused, setFocused] = useState<string>();
  const measure = () => {
    const { scrollTop, clientHeight } = box.current!;
    const row = box.current!.querySelector('tbody [aria-rowindex]');
    const each = row?.getBoundingClientRect().height ?? height;
    const seen = rowsInView(scrollTop, clientHeight, each || 1, jobs.length);
    setView((before) =>
      before.first === seen.first && before.end === seen.end && before.height === each
        ? before
        : { ...seen, height: each },
    );
  };
  useLayoutEffect(measure, [jobs.length, isNarrow]);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(measure);
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, [jobs.length]);

  // An element that is the same as before is not rendered again.
  const kept = useRef(new WeakMap<JobView, { index: number; element: ComponentChildren }>());
  const rows: ComponentChildren[] = [];
  let above = 0;
  const space = (to: number) => {
    if (to > above) rows.push(<Space key={`to ${to}`} height={(to - above) * height} />);
    above = to + 1;
  };
  jobs.forEach((job, index) => {
    if ((index < first || index >= end) && job.job !== focused) return;
    space(index);
    let row = kept.current.get(job);
    if (row?.index !== index) {
      row = { index, element: <Row key={job.job} job={job} index={index} onOpen={onOpen} /> };
      kept.current.set(job, row);
    }
    rows.push(row.element);
  });
  space(jobs.length);
  return (
    <div
      ref={box}
      class="scroll rows"
      tabIndex={0}
      role="group"
      aria-labelledby="jobs"
      onScroll={measure}
      onFocusIn={({ target }: FocusEvent) => setFocused((target as HTMLElement).dataset['job'])}
      onFocusOut={() => setFocused(undefined)}
    >
      <table role="table" aria-rowcount={jobs.length + 1}>
        <thead role="rowgroup">
          <tr role="row" aria-rowindex={1}>
            {COLUMNS.map((by) => (
              <th
                key={by}
                role="columnheader"
                scope="col"
                aria-sort={
                  order.by !== by ? undefined : order.isDescending ? 'descending' : 'ascending'
                }
              >
                {isNarrow ? TITLES[by] : <Button onPress={() => onSort(by)}>{TITLES[by]}</Button>}
              </th>
            ))}
            <th role="columnheader" scope="col">
              Durations
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">{rows}</tbody>
      </table>
    </div>
  );
}

function Space({ height }: { readonly height: number }) {
  return (
    <tr class="space" aria-hidden="true">
      <td style={{ height: `${height}px` }} />
    </tr>
  );
}

function Row(props: { job: JobView; index: number; onOpen: (job: string) => void }) {
  const { job, index, onOpen } = props;
  const [sign, words] = conditionOf(job);
  const cell = (name: string, children: ComponentChildren) => (
    <td role="cell" class={`is-${name}`}>
      {children}
    </td>
  );
  const when = (at: number | null, say = ago) =>
    at === null ? '–' : <Live say={(now) => say(at, now)} />;
  return (
    <tr role="row" aria-rowindex={index + 2}>
      <th role="rowheader" scope="row">
        <button
          type="button"
          class="open"
          data-job={job.job}
          aria-haspopup="dialog"
          onClick={() => onOpen(job.job)}
        >
          <Glyph sign={sign} />
          <span class="title">{job.job}</span>
          <span class="unseen">{words}</span>
        </button>
        <span class="code">{job.schedule}</span>
      </th>
      {cell('next', job.state === 'suspended' ? 'suspended' : when(job.nextTick, countdown))}
      {cell('last', when(job.lastTick))}
      {cell('success', when(job.lastSuccess))}
      {cell(job.missedCount > 0 ? 'missed is-some' : 'missed', count(job.missedCount))}
      {cell('strip', <Strip job={job} slots={20} slot={8} height={24} />)}
    </tr>
  );
}
