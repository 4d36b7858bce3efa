import { useState } from 'preact/hooks';
import type { MemberRow, RoleView } from '../dashboard-view.js';
import { ask, successors } from './asking.js';
import { state, useTopics } from './hooks.js';
import {
  Button,
  Glyph,
  Live,
  LeaderFor,
  Name,
  nameOf,
  Notice,
  Scroll,
  Section,
  Table,
  Validity,
  validityInWords,
} from './parts.js';
import { ago, count, counted, moment, setting, timer } from './words.js';

/** Since when a role has its leader, or none. */
export function sinceOf({ leader, leaderlessSince }: RoleView): number | null {
  return leader === null ? leaderlessSince : leader.since;
}

/** Who leads, large enough for a wall. */
export function Leader({ view }: { readonly view: RoleView }) {
  const { leader, health } = view;
  const since = sinceOf(view);
  const isLost = leader === null && since !== null;
  return (
    <section class={isLost ? 'leader is-vacant' : 'leader'} aria-labelledby="leader">
      <div class="who">
        <h2 id="leader">
          <span class="eyebrow">
            Leader of <b>{view.role}</b>
          </span>
          <span class="display">
            {leader !== null ? (
              <Name identity={leader.identity} />
            ) : isLost ? (
              'No leader'
            ) : (
              'No leader yet'
            )}
          </span>
        </h2>
        <p class="facts">
          {leader === null ? (
            <span>
              {view.isEligible
                ? 'This replica competes for the lease'
                : 'This replica does not compete'}
            </span>
          ) : (
            <>
              <span>Term {count(leader.term)}</span>
              {leader.since === null ? null : (
                <span>
                  since <Live say={(now) => moment(leader.since!, now)} />
                </span>
              )}
              {leader.isThisReplica ? <span>this replica</span> : null}
              {leader.address === null ? null : <span>{leader.address}</span>}
            </>
          )}
        </p>
      </div>
      {since === null ? null : (
        <LeaderFor isVacant={leader === null}>
          <Live say={(now) => timer(now - since)} />
        </LeaderFor>
      )}
      <Validity view={view} />
      <p class="legend">
        <Live say={(now) => validityInWords(view, now)} />
        {leader === null ? null : (
          <span class="soft">, renewed every {setting(view.timing.retryPeriodMs)}</span>
        )}
      </p>
      {state.hello?.hasActions ? <RoleActions view={view} /> : null}
      {health.status === 'up' ? null : (
        <Notice tone={health.status === 'down' ? 'bad' : 'warning'}>
          This replica is {health.status}
          {health.reason === null ? '.' : `: ${health.reason}`}
        </Notice>
      )}
    </section>
  );
}

function RoleActions({ view }: { readonly view: RoleView }) {
  const { role, leader, members } = view;
  const name = leader === null ? '' : nameOf(leader.identity);
  return (
    <div class="buttons">
      <Button
        isPossible={leader !== null}
        onPress={() =>
          ask({
            title: `Ask ${name} to step down?`,
            consequence: `It lets its work of ${role} end and releases the lease. Any other replica that is ready becomes leader.`,
            verb: 'Step down',
            action: () => ({ action: 'step-down', role }),
          })
        }
      >
        Step down…
      </Button>
      {members === null ? null : (
        <Button
          isPossible={leader !== null && successors(view).length > 0}
          onPress={() =>
            ask({
              title: `Hand ${role} over?`,
              consequence: `${name} lets its work end and releases the lease to the replica that you choose.`,
              verb: 'Hand over',
              field: { kind: 'member', label: 'New leader', role },
              action: (to) => ({ action: 'step-down', role, to }),
            })
          }
        >
          Hand over to…
        </Button>
      )}
    </div>
  );
}

export function Members({ view: { members } }: { readonly view: RoleView }) {
  const ready = members?.filter(({ isReady, isTerminating }) => isReady && !isTerminating).length;
  return (
    <Section
      id="members"
      title="Replicas"
      aside={members === null ? null : `${ready} of ${members.length} ready`}
    >
      {members === null ? (
        <p class="empty">
          The other replicas are not known. Set the option <code>members</code> to see each of them
          here, and whether it is ready.
        </p>
      ) : members.length === 0 ? (
        <p class="empty">No replica is running.</p>
      ) : (
        <MemberTable members={members} />
      )}
    </Section>
  );
}

function MemberTable({ members }: { readonly members: readonly MemberRow[] }) {
  const hasRevisions = members.some(({ revision }) => revision !== null);
  const hasNodes = members.some(({ node }) => node !== null);
  const heads = [
    'Replica',
    'State',
    ...(hasRevisions ? ['Revision'] : []),
    ...(hasNodes ? ['Node'] : []),
  ];
  return (
    <Scroll by="members">
      <Table heads={heads}>
        {members.map((member) => (
          <tr key={member.name} class={member.isLeader ? 'is-leader' : ''}>
            <th scope="row">
              <Name identity={member.name} />
              {member.isLeader || member.isThisReplica ? (
                <span class="roles-of">
                  {member.isLeader ? <em>leader</em> : null}
                  {member.isLeader && member.isThisReplica ? ', ' : ''}
                  {member.isThisReplica ? 'this replica' : ''}
                </span>
              ) : null}
            </th>
            <td>
              <Glyph sign={member.isTerminating ? 'warning' : member.isReady ? 'good' : 'bad'} />{' '}
              {member.isTerminating ? 'terminating' : member.isReady ? 'ready' : 'not ready'}
            </td>
            {hasRevisions ? <td class="code">{member.revision ?? '–'}</td> : null}
            {hasNodes ? <td class="code">{member.node ?? '–'}</td> : null}
          </tr>
        ))}
      </Table>
    </Scroll>
  );
}

export function Lease({ view: { lease, lock, timing } }: { readonly view: RoleView }) {
  const { words, raw, failure, readAt } = lease;
  return (
    <Section
      id="lease"
      title="Lease"
      aside={
        readAt === null ? null : (
          <>
            read <Live say={(now) => ago(readAt, now)} />
          </>
        )
      }
    >
      <p class="code soft">{lock}</p>
      {failure === null ? null : <Notice tone="bad">It could not be read: {failure}</Notice>}
      {words.length === 0 && failure === null ? <p class="empty">Not read yet.</p> : null}
      {words.map((sentence) => (
        <p key={sentence}>{sentence}</p>
      ))}
      <p class="soft">
        It expires {setting(timing.leaseDurationMs)} after a renewal. The leader renews it every{' '}
        {setting(timing.retryPeriodMs)} and steps down after {setting(timing.renewDeadlineMs)}{' '}
        without one.
      </p>
      {raw === null || raw === undefined ? null : (
        <details>
          <summary>As it is stored</summary>
          <pre tabIndex={0}>{JSON.stringify(raw, null, 2)}</pre>
        </details>
      )}
    </Section>
  );
}

const FIRST_EVENTS = 10;

export function Events({ role }: { readonly role: string }) {
  useTopics(`events/${encodeURIComponent(role)}`);
  const [isWhole, setWhole] = useState(false);
  const events = [...(state.events(role)?.events ?? [])].reverse();
  const shown = isWhole ? events : events.slice(0, FIRST_EVENTS);
  const replica = state.hello?.replica;
  return (
    <Section
      id="events"
      title="Events"
      aside={
        replica === undefined ? null : (
          <>
            of <Name identity={replica} /> alone
          </>
        )
      }
    >
      {events.length === 0 ? (
        <p class="empty">Nothing has happened since this replica began.</p>
      ) : (
        <ol>
          {shown.map(({ id, tone, text, at }) => (
            <li key={id}>
              <Glyph sign={tone} />
              <span>
                {tone === 'warning' || tone === 'bad' ? <span class="unseen">{tone}: </span> : null}
                {text}
              </span>
              <span class="soft">
                <Live say={(now) => moment(at, now)} />
              </span>
            </li>
          ))}
        </ol>
      )}
      {events.length > FIRST_EVENTS ? (
        <Button class="more" onPress={() => setWhole(!isWhole)}>
          {isWhole ? 'Show the latest' : `Show all ${counted(events.length, 'event')}`}
        </Button>
      ) : null}
      <p class="soft">Each replica keeps its own. Terms and jobs are those of all replicas.</p>
    </Section>
  );
}
