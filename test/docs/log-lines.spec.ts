import { readFileSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { LockRequestError } from '../../lib/core/errors.js';
import { createTerm } from '../../lib/core/term.js';
import { ElectionLogger } from '../../lib/nest/election-logger.js';
import { RecordedLog } from '../nest/support/recorded-log.js';
import { ManualClock } from '../support/manual-clock.js';

const PAGE = readFileSync('docs/lifecycle.md', 'utf8').split('## What the log says')[1]!;
const PREFIX = 'Role "plan-scheduler", Lease default/plan-scheduler, as pod-a: ';

/** A replica starts, follows, becomes leader, steps down, and loses and finds the API server again. */
function logOfOneReplica(): string[] {
  const options = { role: 'plan-scheduler', identity: 'pod-a', application: undefined };
  const lease = 'Lease default/plan-scheduler';
  const clock = new ManualClock();
  const log = new ElectionLogger(
    { ...options, renewDeadlineMs: 10_000, ineligibleGraceMs: 5_000 },
    lease,
    clock,
    true,
  );
  const term = createTerm({
    role: 'plan-scheduler',
    number: 3,
    fencingToken: 4711n,
    holderIdentity: 'pod-a',
    grantedAt: new Date(0),
    signal: new AbortController().signal,
  });
  const error = new LockRequestError('connection refused', { reason: 'unreachable' });
  log.started();
  log.tell({ kind: 'leader-changed', leader: 'pod-b', application: undefined });
  log.tell({ kind: 'leader-changed', leader: undefined, application: undefined });
  log.granted(term);
  log.revoked(term, 'stepped-down', '');
  log.tell({ kind: 'released', term: 3 });
  for (let times = 0; times <= 12; times += 1) log.tell({ kind: 'failed', error });
  log.tell({ kind: 'renewed', term: 4 });
  return recorded.texts('log');
}

const recorded = new RecordedLog();

describe('when docs/lifecycle.md shows a line of the log', () => {
  beforeAll(() => Logger.overrideLogger(recorded));
  afterAll(() => Logger.overrideLogger(true));

  it('shows it as the library writes it', () => {
    const shown = [...PAGE.matchAll(/^\| `([^`]+)`/gm)].map(([, line]) => PREFIX + line!);
    const written = logOfOneReplica();
    expect(shown).toEqual(written);
    expect(written).toContain(/^```text\n(.*)$/m.exec(PAGE)![1]);
  });
});
