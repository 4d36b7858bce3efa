import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { RoleView } from '../dashboard-view.js';
import { PROTOCOL } from '../dashboard-view.js';
import { Asking } from './asking.js';
import { baseOf, listen } from './connection.js';
import { state, useTopics } from './hooks.js';
import { Jobs } from './jobs.js';
import { Glyph, Live, Name, Notice, Validity } from './parts.js';
import { Events, Leader, Lease, Members, sinceOf } from './role.js';
import { Theme } from './theme.js';
import { Timeline } from './timeline.js';
import { ago, timeOfDay, timer } from './words.js';

const base = baseOf(location.pathname);

function App() {
  useTopics('connection', 'roles');
  const [chosen, setChosen] = useState(roleInAddress);
  useEffect(() => {
    const changed = () => setChosen(roleInAddress());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  const { hello, connection } = state;
  const roles = state.roles();
  const role = roles.find((each) => each.role === chosen) ?? roles[0];
  const title = titleOf(roles);
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <>
      <header class="top">
        <h1>{hello?.application ?? 'Leader election'}</h1>
        <p class={`stream is-${connection.kind}`}>
          <span class="lamp" />
          {CONNECTIONS[connection.kind]}
          {hello === undefined || connection.kind !== 'live' ? null : (
            <span class="from">
              from <Name identity={hello.replica} />
            </span>
          )}
        </p>
        <p class="clock">{hello === undefined ? null : <Live say={timeOfDay} />}</p>
      </header>
      <main class={connection.kind === 'lost' ? 'is-stale' : ''}>
        <Connection />
        {roles.length > 1 ? <Roles roles={roles} chosen={role!.role} /> : null}
        {role === undefined ? <NoRole /> : <Role key={role.role} view={role} />}
      </main>
      <footer>
        <p>nestjs-leader-election {hello?.version}</p>
        <Theme />
      </footer>
      <Announcer />
      <Asking />
    </>
  );
}

const CONNECTIONS = { connecting: 'Connecting', live: 'Live', lost: 'Reconnecting' };

function roleInAddress(): string {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}

/** A tab that is not looked at says it too. */
function titleOf(roles: readonly RoleView[]): string {
  const name = state.hello?.application ?? 'Leader election';
  if (state.connection.kind === 'lost') return `Connection lost – ${name}`;
  const vacant = roles.filter(({ leader }) => leader === null).map(({ role }) => role);
  return vacant.length === 0 ? name : `No leader: ${vacant.join(', ')} – ${name}`;
}

function Connection() {
  const { connection, hello } = state;
  if (hello !== undefined && hello.protocol !== PROTOCOL) {
    return (
      <Notice tone="warning">
        The server is of another version than this page: reload the page.
      </Notice>
    );
  }
  if (connection.kind !== 'lost') return null;
  const { since, why } = connection;
  return (
    <Notice tone="bad">
      <b>
        {/* The time of the page stands still while nothing comes; this does not. */}
        Connection lost <Live say={() => ago(since, Date.now())} />.
      </b>{' '}
      {why} The page tries again until it works.
      {hello === undefined ? '' : ` What you see is as of ${timeOfDay(since + state.ahead)}.`}
    </Notice>
  );
}

function NoRole() {
  const isLive = state.connection.kind === 'live';
  return (
    <section class="first" aria-busy={!isLive}>
      <h2 class="display">
        {isLive ? 'No roles' : state.connection.kind === 'lost' ? 'No answer yet' : 'Connecting'}
      </h2>
      <p class="facts">
        {isLive
          ? 'A role appears here when the application imports LeaderElectionModule.forRoot(…).'
          : location.host + base}
      </p>
      <div class="track" />
    </section>
  );
}

/** All roles at a glance; each leads to the rest of what is known of it. */
function Roles({
  roles,
  chosen,
}: {
  readonly roles: readonly RoleView[];
  readonly chosen: string;
}) {
  return (
    <nav class="roles" aria-label="Roles">
      <ul>
        {roles.map((view) => {
          const { role, leader } = view;
          const since = sinceOf(view);
          return (
            <li key={role}>
              <a
                href={`#${encodeURIComponent(role)}`}
                class={leader === null ? 'is-vacant' : ''}
                aria-current={role === chosen ? 'true' : undefined}
              >
                <b>{role}</b>
                <span class="who">
                  {leader === null ? (
                    <>
                      <Glyph sign="bad" /> no leader
                    </>
                  ) : (
                    <Name identity={leader.identity} />
                  )}
                </span>
                <span class="for">
                  {since === null ? '' : <Live say={(now) => timer(now - since)} />}
                </span>
                <Validity view={view} />
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function Role({ view }: { readonly view: RoleView }) {
  return (
    <>
      <Leader view={view} />
      <Timeline view={view} />
      <div class="columns">
        <Jobs role={view.role} />
        <div class="aside">
          <Members view={view} />
          <Events role={view.role} />
          <Lease view={view} />
        </div>
      </div>
    </>
  );
}

/** Says only what a person has to hear: a change of leader, and what came of an action. */
function Announcer() {
  useTopics('announcement');
  return (
    <div role="status" class="unseen" id="announcer">
      {state.announcement}
    </div>
  );
}

render(<App />, document.getElementById('page')!);
void listen(base, state);
