import { render } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { onTick } from '../../../../lib/dashboard/page/hooks.js';
import {
  Button,
  Glyph,
  LeaderFor,
  Notice,
  Scroll,
  Section,
  Table,
} from '../../../../lib/dashboard/page/parts.js';
import { Theme } from '../../../../lib/dashboard/page/theme.js';
import { setting, timeOfDay, timer } from '../../../../lib/dashboard/page/words.js';
import type { FleetView } from '../fleet-view.js';
import { Lanes } from './lanes.js';
import { room, useRoom } from './room.js';
import { gapOf } from './words.js';

function App() {
  const { view, lost, refusal } = useRoom();
  useEffect(() => {
    document.title = titleOf(view, lost !== undefined);
  });
  const kind = lost === undefined ? (view === undefined ? 'connecting' : 'live') : 'lost';
  return (
    <>
      <header class="top">
        <h1>Control room</h1>
        <p class={`stream is-${kind}`}>
          <span class="lamp" />
          {{ connecting: 'Connecting', live: 'Live', lost: 'Reconnecting' }[kind]}
        </p>
      </header>
      <main class={kind === 'lost' ? 'is-stale' : ''}>
        {lost === undefined ? null : (
          <Notice tone="bad">
            <b>The sample does not answer.</b> {lost.why} Is <code>npm start</code> still running?
            The page tries again until it works.
          </Notice>
        )}
        {refusal === undefined ? null : <Notice tone="warning">Nothing was done: {refusal}</Notice>}
        {view === undefined ? <p class="empty">Waiting for the sample.</p> : <Fleet view={view} />}
      </main>
      <footer>
        <p>The sample of nestjs-leader-election</p>
        <Theme />
      </footer>
      <Announcer view={view} />
    </>
  );
}

function titleOf(view: FleetView | undefined, isLost: boolean): string {
  if (isLost) return 'Connection lost – Control room';
  if (view === undefined) return 'Control room';
  return view.leader === null
    ? 'No leader – Control room'
    : `${view.leader.replica} leads – Control room`;
}

function Fleet({ view }: { readonly view: FleetView }) {
  return (
    <>
      <Leader view={view} />
      <Lanes view={view} />
      <div class="columns">
        <Terms view={view} />
        <Events view={view} />
      </div>
    </>
  );
}

/** How long something has lasted; only this text is written again. */
function Since({ at }: { readonly at: number }) {
  const element = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const write = () => (element.current!.textContent = timer(room.now() - at));
    write();
    return onTick(write);
  }, [at]);
  return <span ref={element} />;
}

function Leader({ view }: { readonly view: FleetView }) {
  const { leader, leaderlessSince, replicas, lock, leaseDurationMs, canAdd } = view;
  const replica = replicas.find(({ name }) => name === leader?.replica);
  const since = leader?.from ?? leaderlessSince;
  const isLost = leader === null && since !== null;
  return (
    <section class={isLost ? 'leader is-vacant' : 'leader'} aria-labelledby="leader">
      <div class="who">
        <h2 id="leader">
          <span class="eyebrow">
            Leader of <b>plan-scheduler</b>
          </span>
          <span class="display">{leader?.replica ?? (isLost ? 'No leader' : 'No leader yet')}</span>
        </h2>
        <p class="facts">
          {leader === null ? (
            <span>the replicas compete for the lease</span>
          ) : (
            <>
              <span>Term {leader.term}</span>
              <span>since {timeOfDay(leader.from)}</span>
              {replica?.pid == null ? null : <span>pid {replica.pid}</span>}
            </>
          )}
        </p>
      </div>
      {since === null ? null : (
        <LeaderFor isVacant={leader === null}>
          <Since at={since} />
        </LeaderFor>
      )}
      <p class="legend">
        {lock === 'file' ? 'A lock file on this machine' : 'A Lease on a real API server'}. A leader
        that falls silent is replaced after {setting(leaseDurationMs)}
        <span class="soft"> (profile: 'fast' for this demonstration; the default is 15 s).</span>
      </p>
      <div class="buttons">
        <Button
          class="primary"
          isPossible={replica?.can.includes('kill') ?? false}
          onPress={() => void room.act({ action: 'kill', replica: replica!.name })}
        >
          Kill the leader
        </Button>
        <Button isPossible={canAdd} onPress={() => void room.act({ action: 'add' })}>
          Add a replica
        </Button>
      </div>
    </section>
  );
}

function Terms({ view }: { readonly view: FleetView }) {
  const terms = [...view.terms].reverse();
  return (
    <Section id="terms" title="Terms" aside="and how long no replica led before each">
      {terms.length === 0 ? (
        <p class="empty">The first replica that acquires the lease begins one.</p>
      ) : (
        <Scroll by="terms">
          <Table heads={['Term', 'Replica', 'From', 'Until', 'No leader before', 'Ended by']}>
            {terms.map((each) => (
              <tr key={`${each.term} ${each.from}`}>
                <th scope="row">{each.term}</th>
                <td>{each.replica}</td>
                <td>{timeOfDay(each.from)}</td>
                <td>{each.to === null ? 'now' : timeOfDay(each.to)}</td>
                <td class="number">{gapOf(each)}</td>
                <td>{each.reason ?? '–'}</td>
              </tr>
            ))}
          </Table>
        </Scroll>
      )}
    </Section>
  );
}

const SHOWN_EVENTS = 12;

function Events({ view }: { readonly view: FleetView }) {
  const events = view.events.slice(-SHOWN_EVENTS).reverse();
  return (
    <Section id="events" title="Events">
      {events.length === 0 ? (
        <p class="empty">Nothing has happened yet. Press a button.</p>
      ) : (
        <ol>
          {events.map(({ id, at, tone, text }) => (
            <li key={id}>
              <Glyph sign={tone} />
              <span>{text}</span>
              <span class="soft">{timeOfDay(at)}</span>
            </li>
          ))}
        </ol>
      )}
    </Section>
  );
}

/** Says what a person has to hear who does not see the page. */
function Announcer({ view }: { readonly view: FleetView | undefined }) {
  return (
    <div role="status" class="unseen">
      {view?.events.at(-1)?.text}
    </div>
  );
}

render(<App />, document.getElementById('page')!);
