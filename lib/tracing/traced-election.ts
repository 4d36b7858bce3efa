import {
  type Attributes,
  type Context,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanStatusCode,
  trace,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';
import type { RevocationReason, Term } from '../core/term.js';
import { messageOf, nameOf, stackOf } from '../core/thrown-value.js';
import type {
  ActivityListener,
  ElectionActivityEvent,
  GatedCall,
} from '../election/election-activity.js';
import type { ElectionSource } from '../election/election-channels.js';

const LIBRARY = 'nestjs-leader-election';
/** A test compares it with package.json. */
export const VERSION = '0.1.0';

/** Leadership that ended in one of these ways was to end. */
const INTENDED: readonly RevocationReason[] = ['stepped-down', 'suspended', 'shutdown'];

/** Then the lease is another process's, or gone: there is nothing to release. */
const LOST: readonly RevocationReason[] = ['superseded', 'lease-deleted'];

type Event<Kind extends ElectionActivityEvent['kind']> = Extract<
  ElectionActivityEvent,
  { readonly kind: Kind }
>;

interface Handover {
  readonly term: Term;
  readonly reason: RevocationReason;
  readonly span: Span;
  readonly drain: Span;
  release?: Span;
  /** Milliseconds since the epoch. */
  drainedAt?: number;
}

interface Acquisition {
  readonly context: SpanContext;
  /** What everything in its term has in place of the attributes of the role. */
  readonly attributes: Attributes;
}

/** Makes the spans of one election, and of the work that runs once under its role. */
export class TracedElection implements ActivityListener {
  private readonly tracer: Tracer;
  private readonly common: Attributes;
  private readonly acquisitions = new WeakMap<Term, Acquisition>();
  private readonly calls = new WeakMap<GatedCall, Span>();
  private term: Term | undefined;
  /** When the last request for the lease was sent, on the clock of the election. */
  private acquiringSince: number | undefined;
  private handover: Handover | undefined;

  constructor(source: ElectionSource, provider: TracerProvider) {
    this.tracer = provider.getTracer(LIBRARY, VERSION);
    this.common = {
      'leader_election.role': source.role,
      'leader_election.lease': source.lock,
      'leader_election.identity': source.holderIdentity,
      ...(source.application !== undefined && {
        'leader_election.application': source.application,
      }),
    };
  }

  hear(event: ElectionActivityEvent, at: number): void {
    switch (event.kind) {
      case 'request-started':
        return this.asked(event, at);
      case 'request-ended':
        return this.answered(event);
      case 'granted':
        return this.granted(event, at);
      case 'granted-beside':
        return this.acquired(event, event.askedMs, event.lease);
      case 'revoked':
        return this.revoked(event);
      case 'drained':
        return this.drained();
      case 'released':
        return this.handedOver({ isReleased: true });
      case 'stopped':
        return this.handedOver({ isReleased: false });
      case 'call-ended':
      case 'run-ended':
        return this.called(event);
      default:
        return undefined;
    }
  }

  around(call: GatedCall, proceed: () => void): void {
    const { term, method } = call;
    if (term === undefined) return proceed();
    const parent = context.active();
    const span = this.begin(method, { term, parent, attributes: callAttributes(call) });
    this.calls.set(call, span);
    context.with(trace.setSpan(parent, span), proceed);
  }

  private called({ call, thrown }: Event<'call-ended' | 'run-ended'>): void {
    const span = this.calls.get(call);
    if (span === undefined) return;
    this.calls.delete(call);
    try {
      if (thrown !== undefined) recordFailure(span, thrown.error);
      else if (call.run?.signal.aborted === true && call.term?.signal.aborted === false) {
        recordFailure(span, call.run.signal.reason);
      }
    } finally {
      span.end();
    }
  }

  private asked({ purpose }: Event<'request-started'>, at: number): void {
    if (purpose === 'acquire') this.acquiringSince = at;
    const { handover } = this;
    if (handover === undefined) return;
    if (purpose === 'release') handover.release = this.beginPart(handover, 'release');
    else if (handover.drainedAt !== undefined) this.handedOver({ isReleased: false });
  }

  private answered({ purpose, outcome, durationMs, error }: Event<'request-ended'>): void {
    const isFailure = outcome !== 'applied' && outcome !== 'abandoned';
    const attributes = { 'leader_election.outcome': outcome };
    const told = (span: Span): void => {
      if (!isFailure) return;
      if (error !== undefined) recordFailure(span, error, error.reason);
      else span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
    };
    if (purpose === 'release') {
      const span = this.handover?.release;
      if (span === undefined) return;
      this.handover!.release = undefined;
      span.setAttributes(attributes);
      told(span);
      span.end();
    } else if (purpose === 'renew' && isFailure) {
      const endedAt = Date.now();
      const span = this.begin('leader_election.renew', {
        term: this.term,
        parent: ROOT_CONTEXT,
        startTime: endedAt - durationMs,
        attributes,
      });
      told(span);
      span.end(endedAt);
    }
  }

  private granted(event: Event<'granted'>, at: number): void {
    this.handedOver({ isReleased: false });
    this.term = event.term;
    const { leaderlessMs = 0 } = event;
    this.acquired(event, Math.max(leaderlessMs, at - (this.acquiringSince ?? at)));
  }

  /** @param lease absent: that of the role */
  private acquired(
    { term, waitedMs }: Event<'granted' | 'granted-beside'>,
    tookMs: number,
    lease?: string,
  ): void {
    const own: Attributes = lease === undefined ? {} : { 'leader_election.lease': lease };
    const endedAt = Date.now();
    const span = this.begin('leader_election.acquire', {
      term,
      parent: ROOT_CONTEXT,
      startTime: endedAt - tookMs,
      attributes: { ...own, 'leader_election.waited_ms': waitedMs },
    });
    this.acquisitions.set(term, { context: span.spanContext(), attributes: own });
    span.end(endedAt);
  }

  private revoked({ term, reason, heldMs }: Event<'revoked'>): void {
    const attributes = { 'leader_election.reason': reason, 'leader_election.held_ms': heldMs };
    const span = this.begin('leader_election.handover', { term, parent: ROOT_CONTEXT, attributes });
    // The process has stopped to be leader before this is heard.
    this.beginPart({ term, span }, 'withdraw').end();
    this.handover = { term, reason, span, drain: this.beginPart({ term, span }, 'drain') };
  }

  private drained(): void {
    const { handover } = this;
    if (handover === undefined) return;
    handover.drainedAt = Date.now();
    handover.drain.end(handover.drainedAt);
    if (LOST.includes(handover.reason)) this.handedOver({ isReleased: false });
  }

  private handedOver({ isReleased }: { readonly isReleased: boolean }): void {
    const { handover } = this;
    if (handover === undefined) return;
    this.handover = undefined;
    const { span, drain, release, reason, drainedAt } = handover;
    if (drainedAt === undefined) {
      const message = 'the work of the term had not ended';
      drain.setStatus({ code: SpanStatusCode.ERROR, message });
      drain.end();
    }
    // A watch may tell of the release before its answer comes.
    if (isReleased) release?.setAttribute('leader_election.outcome', 'applied');
    release?.end();
    span.setAttribute('leader_election.released', isReleased);
    if (!INTENDED.includes(reason)) span.setStatus({ code: SpanStatusCode.ERROR, message: reason });
    else if (!isReleased) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: 'the lease was not released' });
    }
    span.end(isReleased ? undefined : drainedAt);
  }

  private beginPart({ term, span }: Pick<Handover, 'term' | 'span'>, phase: string): Span {
    const parent = trace.setSpan(ROOT_CONTEXT, span);
    return this.begin(`leader_election.${phase}`, { term, parent });
  }

  private begin(name: string, { term, parent, startTime, attributes }: SpanParts): Span {
    const acquired = term && this.acquisitions.get(term);
    const links: Link[] = acquired === undefined ? [] : [{ context: acquired.context }];
    const ofTerm = term && { ...termAttributes(term), ...acquired?.attributes };
    const all = { ...this.common, ...ofTerm, ...attributes };
    return this.tracer.startSpan(name, { startTime, links, attributes: all }, parent);
  }
}

interface SpanParts {
  readonly term: Term | undefined;
  readonly parent: Context;
  /** Milliseconds since the epoch; absent: now. */
  readonly startTime?: number;
  readonly attributes?: Attributes;
}

function termAttributes({ number, fencingToken, holderIdentity }: Term): Attributes {
  return {
    'leader_election.identity': holderIdentity,
    'leader_election.term': number,
    // A 64-bit number is no number of JavaScript.
    'leader_election.fencing_token': String(fencingToken),
  };
}

function callAttributes({ method, run }: GatedCall): Attributes {
  if (run === undefined) {
    return method.endsWith(')') ? {} : { 'code.function.name': method };
  }
  const { scheduledTime, version, attempt } = run;
  return {
    'leader_election.job.name': method,
    'leader_election.job.attempt': attempt,
    ...(version !== undefined && { 'leader_election.job.version': version }),
    ...(scheduledTime !== undefined && {
      'leader_election.job.scheduled_time': scheduledTime.toISOString(),
    }),
  };
}

/** Of foreign code, which may have thrown anything. */
function recordFailure(span: Span, error: unknown, type = nameOf(error) ?? '_OTHER'): void {
  const message = messageOf(error);
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  const stack = stackOf(error);
  span.recordException({ name: type, message, ...(stack !== undefined && { stack }) });
}
