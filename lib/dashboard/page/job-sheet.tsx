import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { JobView } from '../dashboard-view.js';
import { ask } from './asking.js';
import { jobKey } from './dashboard-state.js';
import { state, useTopics } from './hooks.js';
import { isFailing } from './job-list.js';
import { Button, Glyph, Live, Name, Notice, Scroll, Section, type Sign, Table } from './parts.js';
import { marksOf, OUTCOMES, stripInWords, stripPaths } from './strip.js';
import { ago, countdown, counted, duration, moment } from './words.js';

export function conditionOf(job: JobView): readonly [sign: Sign, words: string] {
  if (!job.isReadable) return ['bad', 'Its record cannot be read'];
  if (job.active.length > 0) return ['running', 'Running'];
  if (job.state === 'suspended') return ['paused', 'Suspended'];
  if (job.state === 'unknown-to-leader') return ['warning', 'The leader does not have this job'];
  if (isFailing(job)) return ['bad', 'The last run failed'];
  return ['plain', job.lastTick === null ? 'Has not run yet' : 'Scheduled'];
}

export function Strip(props: { job: JobView; slots: number; slot: number; height: number }) {
  const { job, slots, slot, height } = props;
  const marks = marksOf(job, slots);
  const paths = stripPaths(marks, slots, slot, height);
  return (
    <svg
      class="strip"
      role="img"
      aria-label={stripInWords(marks)}
      viewBox={`0 0 ${slots * slot} ${height + 1}`}
    >
      <path class="base" d={`M0 ${height + 0.5}h${slots * slot}`} />
      {OUTCOMES.map((outcome) => (
        <path key={outcome} class={`is-${outcome}`} d={paths[outcome]} />
      ))}
    </svg>
  );
}

/** One job, with all that is known of it, beside the list. */
export function Sheet(props: { role: string; job: string; onClose: () => void }) {
  const { role, job: name, onClose } = props;
  useTopics(jobKey(role, name), 'connection');
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current!.showModal(), []);
  const job = state.job(role, name);
  const close = () => dialog.current!.close();
  return (
    <dialog
      ref={dialog}
      class="sheet"
      aria-labelledby="sheet"
      onClose={onClose}
      onClick={({ target, currentTarget }: Event) => {
        if (target === currentTarget) close();
      }}
    >
      <div class="inside">
        <header>
          <h2 id="sheet">
            <span class="eyebrow">Job of {role}</span>
            {name}
          </h2>
          <div class="buttons">
            <Button onPress={close}>Close</Button>
          </div>
        </header>
        {state.connection.kind === 'lost' ? (
          <Notice tone="warning">The connection is lost. This is how it was before.</Notice>
        ) : null}
        {job === undefined ? (
          <p class="empty">This job is gone.</p>
        ) : (
          <>
            {state.hello?.hasActions ? <JobActions job={job} /> : null}
            <Condition job={job} />
            <History job={job} />
          </>
        )}
      </div>
    </dialog>
  );
}

function JobActions({ job: { role, job, state: condition, active } }: { readonly job: JobView }) {
  const reason = { kind: 'reason', label: 'Reason', isRequired: true } as const;
  return (
    <div class="buttons">
      <Button
        onPress={() =>
          ask({
            title: `Run ${job} now?`,
            consequence:
              'The leader starts one run beside the schedule. The next tick stays as it is.',
            verb: 'Run now',
            action: () => ({ action: 'trigger', role, job }),
          })
        }
      >
        Run now…
      </Button>
      {condition === 'suspended' ? (
        <Button
          onPress={() =>
            ask({
              title: `Resume ${job}?`,
              consequence: 'It runs again from its next tick, in the whole fleet.',
              verb: 'Resume',
              action: () => ({ action: 'resume', role, job }),
            })
          }
        >
          Resume…
        </Button>
      ) : (
        <Button
          onPress={() =>
            ask({
              title: `Suspend ${job}?`,
              consequence:
                'No tick starts it in the whole fleet until it is resumed. A run that is active continues.',
              verb: 'Suspend',
              field: reason,
              action: (text) => ({ action: 'suspend', role, job, reason: text }),
            })
          }
        >
          Suspend…
        </Button>
      )}
      <Button
        isPossible={active.length > 0}
        onPress={() =>
          ask({
            title: `Cancel ${counted(active.length, 'run')} of ${job}?`,
            consequence:
              'The signal of each run that is active is aborted. It ends when its code notices.',
            verb: 'Cancel what runs',
            field: { ...reason, label: 'Reason (optional)', isRequired: false },
            action: (text) => ({ action: 'cancel', role, job, reason: text }),
          })
        }
      >
        Cancel runs…
      </Button>
    </div>
  );
}

function Condition({ job }: { readonly job: JobView }) {
  const [sign, words] = conditionOf(job);
  const when = (at: number | null, say = ago) =>
    at === null ? (
      'never'
    ) : (
      <>
        <Live say={(now) => say(at, now)} />{' '}
        <small>
          <Live say={(now) => moment(at, now)} />
        </small>
      </>
    );
  const { suspension, lastFailure, lastMissed, nextTick } = job;
  const facts: readonly (readonly [string, ComponentChildren, isWide?: boolean] | null)[] = [
    [
      'State',
      <>
        <Glyph sign={sign} /> {words}
      </>,
    ],
    ['Schedule', <span class="code">{job.schedule}</span>],
    suspension && [
      'Suspended',
      <>
        by {suspension.by} {when(suspension.at)}
        <q>{suspension.reason}</q>
      </>,
      true,
    ],
    ['Next tick', nextTick === null ? '–' : when(nextTick, countdown)],
    ['Last tick', when(job.lastTick)],
    ['Last success', when(job.lastSuccess)],
    [
      'Missed',
      <>
        {counted(job.missedCount, 'tick')}
        {lastMissed === null ? null : <>, last {when(lastMissed)}</>}
      </>,
    ],
    lastFailure && [
      'Last failure',
      <>
        {when(lastFailure.at)}
        <q>{lastFailure.reason}</q>
      </>,
      true,
    ],
    ...job.active.map(
      (run) =>
        [
          run.isCancelled ? 'Is being cancelled' : 'Runs now',
          <>
            for <Live say={(now) => duration(Math.floor((now - run.startedAt) / 1_000) * 1_000)} />{' '}
            on <Name identity={run.holder} />
            {run.isTriggered ? ', started by hand' : ''}
          </>,
          true,
        ] as const,
    ),
  ];
  return (
    <dl class="condition">
      {facts.map((fact) =>
        fact === null ? null : (
          <div key={fact[0]} class={fact[2] ? 'is-wide' : ''}>
            <dt>{fact[0]}</dt>
            <dd>{fact[1]}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

const LEAST_SLOTS = 20;
const MOST_SLOTS = 40;

function History({ job }: { readonly job: JobView }) {
  const runs = [...job.history].reverse();
  const marks = marksOf(job, MOST_SLOTS);
  const slots = Math.max(LEAST_SLOTS, marks.length);
  return (
    <Section id="runs" title="Runs" aside={stripInWords(marks)}>
      {runs.length === 0 ? null : (
        <>
          <Strip job={job} slots={slots} slot={Math.round(576 / slots)} height={72} />
          <ul class="key">
            {OUTCOMES.map((outcome) => (
              <li key={outcome}>
                <svg class="strip" viewBox="0 0 12 16" aria-hidden="true">
                  <path
                    class={`is-${outcome}`}
                    d={stripPaths([{ outcome, at: 0, length: 1 }], 1, 10, 15)[outcome]}
                  />
                </svg>
                {outcome === 'active' ? 'runs now' : outcome}
              </li>
            ))}
          </ul>
          <Scroll by="runs">
            <Table heads={['Due', 'Outcome', 'Took', 'Replica']}>
              {runs.map((run) => (
                <tr key={`${run.scheduledTime} ${run.startedAt}`}>
                  <th scope="row">
                    <Live say={(now) => moment(run.scheduledTime, now)} />
                  </th>
                  <td>
                    <Glyph sign={signOf(run.outcome)} /> {run.outcome}
                    {run.attempt > 1 ? `, attempt ${run.attempt}` : ''}
                    {run.isTriggered ? ', by hand' : ''}
                    <q>{run.reason}</q>
                  </td>
                  <td class="number">{duration(run.endedAt - run.startedAt)}</td>
                  <td>
                    <Name identity={run.holder} /> <small>term {run.term}</small>
                  </td>
                </tr>
              ))}
            </Table>
          </Scroll>
        </>
      )}
    </Section>
  );
}

function signOf(outcome: JobView['history'][number]['outcome']): Sign {
  if (outcome === 'succeeded') return 'good';
  return outcome === 'cancelled' ? 'paused' : 'bad';
}
