import type { LockRequest } from '../../lib/core/election-state.js';
import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';
import type { WriteOutcome } from '../../lib/core/resource-lock.js';
import {
  type Admission,
  type ApplyResult,
  type LeaseStore,
  sameRecord,
  sameTerm,
} from './lease-store.js';
import type { Flight, Outcome } from './network.js';
import { admit } from './webhook.js';
import type { World } from './world.js';

/** What a write finds, and who had written it when. */
type FormerRecord = Pick<LeaseStore, 'lease' | 'writer' | 'writtenAt' | 'wroteItselfAt' | 'news'>;

type WriteRequest = Exclude<LockRequest, { verb: 'read' }>;

/** Carries requests out on the store, and watches over what they overwrite. */
export class ApiServer {
  constructor(private readonly world: World) {}

  /** Reads are served from the cache of a server that lags behind. */
  performOnCache(flight: Flight): Outcome {
    if (flight.request.verb !== 'read') return this.perform(flight);
    const { world } = this;
    const { history, revision } = world.store;
    const { link } = flight.replica;
    const versionsBehind = Math.ceil(link.severity('stale-read') * 8);
    const version = history[Math.max(0, history.length - 1 - versionsBehind)];
    if (version === undefined || version.revision >= revision) return this.perform(flight);
    world.count('stale-read');
    if (version.lease === null) return { kind: 'absent' };
    return { kind: 'found', stored: world.representation(version.lease) };
  }

  perform(flight: Flight): Outcome {
    const { store } = this.world;
    if (flight.request.verb === 'read') {
      if (store.lease === null) return { kind: 'absent' };
      return { kind: 'found', stored: this.world.representation(store.lease) };
    }
    return this.outcome(this.write(flight, flight.request));
  }

  /** A request that is delivered once more; nobody waits for its answer. */
  repeat(flight: Flight): void {
    if (flight.request.verb === 'read') return;
    const result = this.write(flight, flight.request);
    if (result !== 'applied') this.world.count('duplicate-applied-once');
  }

  private write(flight: Flight, request: WriteRequest): ApplyResult {
    const { world } = this;
    const { store, now } = world;
    const { replica } = flight;
    if (world.scenario.clones) this.compareCopies(flight, request.record);
    const { lease, writer, writtenAt, wroteItselfAt, news } = store;
    const before = { lease, writer, writtenAt, wroteItselfAt, news };
    const admission = this.admissionOf(flight);
    const result =
      request.verb === 'create'
        ? store.create(request.record, replica.id, now, admission)
        : store.replace(
            request.record,
            this.expectation(request.expected),
            replica.id,
            now,
            admission,
          );
    world.trace?.add(
      now,
      'store',
      `${request.verb} by ${replica.name} ${describe(request.record)} on ${request.verb === 'replace' ? request.expected.revision : '-'}: ${result} ${store.revision}`,
    );
    if (result === 'applied') this.onApplied(flight, request.record, before);
    if (result === 'conflict' && request.verb === 'replace') this.onConflict(flight, request);
    return result;
  }

  private admissionOf({ webhook: severity }: Flight): Admission | undefined {
    if (severity === undefined) return undefined;
    const { lawless } = this.world.scenario;
    return (sent, former) => admit({ sent, former, severity, lawless });
  }

  /** It may happen once that two copies send the same bytes, and not again and again. */
  private compareCopies({ replica }: Flight, { renewTimeMicros }: LeaseRecord): void {
    const { world } = this;
    const { lastWritten } = replica;
    replica.lastWritten = renewTimeMicros;
    if (lastWritten === renewTimeMicros) return;
    const isAlike = world.replicas.some(
      (other) =>
        other !== replica &&
        other.config.identity === replica.config.identity &&
        other.lastWritten === renewTimeMicros,
    );
    if (!isAlike) return;
    world.copiesAlike = true;
    if (++world.timesAlike < 3) return;
    world.violate('copies-told-apart', `${replica.name} writes what its copy writes`);
  }

  private expectation(expected: ObservedLease): { uid: string | undefined; revision: bigint } {
    const { omitsUid } = this.world.engine.sabotage;
    return { uid: omitsUid ? undefined : expected.uid, revision: expected.revision };
  }

  private onApplied(flight: Flight, record: LeaseRecord, before: FormerRecord): void {
    const { world } = this;
    const { replica } = flight;
    this.checkForeignLease(flight, before);
    this.checkCoordinatedLease(flight, record, before);
    world.succession.checkApplied(replica, record, before);
    world.requests.checkApplied(replica, record, before.lease?.record);
    const isRenewal = record.acquireTimeMicros !== record.renewTimeMicros;
    replica.ownNews += world.store.news - before.news;
    if (replica === world.crashed) world.ghostOfCrashed = true;
    if (!sameRecord(record, world.store.lease!.record)) this.countAltered(record, isRenewal);
    else if (record.holderIdentity !== '') replica.hasHeldSince(flight.sentAt);
    if (flight.givenUp && !replica.believes) {
      const isAcquire = record.acquireTimeMicros === record.renewTimeMicros;
      if (record.holderIdentity !== '') {
        world.count(isAcquire ? 'ghost-acquire-applied' : 'ghost-applied-after-revoke');
      }
    }
    world.announce();
  }

  private countAltered(sent: LeaseRecord, isRenewal: boolean): void {
    const { world } = this;
    if (sent.holderIdentity === '') world.count('release-altered');
    else if (!isRenewal) world.count('acquisition-altered');
    else if (sameTerm(sent, world.store.lease!.record)) world.count('renewal-undone');
    else world.count('renewal-altered');
  }

  /** S5: a held record of another process is replaced only after its whole duration on the writer's clock (R5). */
  private checkForeignLease({ replica }: Flight, before: FormerRecord): void {
    const { world } = this;
    const former = before.lease?.record;
    if (former === undefined || former.holderIdentity === '' || before.writer === replica.id)
      return;
    if (replica.inherits(before.writer, before.wroteItselfAt)) return;
    // By hand it names again the process that had written all the rest of it.
    if (before.writer === null && former.holderIdentity === replica.config.identity) return;
    world.count('takeover');
    const loser = before.writer === null ? undefined : world.replicas[before.writer];
    const wasEdited = world.store.editedAt >= before.writtenAt;
    if (loser?.alive === true && !wasEdited) loser.application.checkLostLease(replica.name);
    const deathWasTold = before.writer !== null && !world.replicas[before.writer]!.alive;
    if (deathWasTold && world.scenario.reportsDeath) return;
    if (deathWasTold && world.kubelet.hasProved(before.writer!, former)) {
      return world.count('taken-by-proof');
    }
    if (world.scenario.restores) return;
    const seconds = former.leaseDurationSeconds;
    const duration =
      seconds !== null && seconds > 0 ? seconds * 1_000 : replica.config.leaseDurationMs;
    const waited = (world.now - before.writtenAt) * replica.clockRate;
    if (waited < duration - 1e-3) {
      world.violate(
        'foreign-lease-respected',
        `${replica.name} replaced a lease of ${duration} ms after ${waited.toFixed(1)} ms`,
      );
    }
  }

  /** Whether it is free or not, a lease that another client is to give away is left to it for a while (R17). */
  private checkCoordinatedLease(
    { replica }: Flight,
    { holderIdentity }: LeaseRecord,
    before: FormerRecord,
  ): void {
    const { world } = this;
    const former = before.lease?.record;
    if (!world.scenario.coordinated || former === undefined || holderIdentity === '') return;
    const isOwn = before.writer === replica.id && former.holderIdentity !== '';
    if (isOwn || replica.inherits(before.writer, before.wroteItselfAt)) return;
    if (before.writer === null && former.holderIdentity === replica.config.identity) return;
    if (world.scenario.restores) return;
    world.count('taken-uncoordinated');
    const { leaseDurationMs } = replica.config;
    const waited = (world.now - before.writtenAt) * replica.clockRate;
    if (waited >= leaseDurationMs - 1e-3) return;
    const detail = `${replica.name} leaves ${waited.toFixed(1)} of ${leaseDurationMs} ms to it`;
    world.violate('coordinator-first', detail);
  }

  private onConflict(
    { replica }: Flight,
    request: Extract<LockRequest, { verb: 'replace' }>,
  ): void {
    const { world } = this;
    const { writer, lease } = world.store;
    if (writer === replica.id && lease?.record.holderIdentity !== '') {
      world.count('conflict-after-own-success');
    }
    if (request.record.holderIdentity === '') world.count('release-conflict');
    else world.store.cameTooLate(replica.id, request.expected);
  }

  private outcome(result: ApplyResult): WriteOutcome {
    const { store, scenario } = this.world;
    switch (result) {
      case 'applied':
      case 'unchanged':
        return { kind: 'applied', stored: this.world.representation(store.lease!) };
      case 'absent':
        return scenario.network.tellsAbsent ? { kind: 'absent' } : { kind: 'conflict' };
      case 'conflict':
        return { kind: 'conflict' };
      default:
        return result satisfies never;
    }
  }
}

function describe(record: LeaseRecord): string {
  const { holderIdentity, leaseTransitions, renewTimeMicros } = record;
  return `"${holderIdentity}" #${leaseTransitions} renewed ${renewTimeMicros}`;
}
