import type { TermSpan, TermsView } from '../dashboard-view.js';

/** A term as the page knows it. Times are by the clock of the browser, so that what several processes say can be joined. */
interface KnownTerm extends TermSpan {
  /** Until when a process said that it leads; what came then is not known if `to` is null. */
  readonly lastSeen: number;
}

export interface TermHistory {
  /** No process that was heard has seen more. */
  readonly seenSince: number;
  /** Oldest first. */
  readonly terms: readonly KnownTerm[];
}

export const NO_HISTORY: TermHistory = { seenSince: Infinity, terms: [] };

const MOST_TERMS = 2_000;

/** Two processes say the same term with clocks of their own. */
const TOLERANCE = 60_000;

/**
 * What was known, and what a process says now: after a reconnect another one may answer, which is younger and has seen less.
 * A term that both know is kept as the one says it that has seen more of it; its two ends are never mixed, but for an end that
 * the other did not know.
 *
 * @param ahead How far the clock of that process is ahead of that of the browser, in milliseconds.
 * @param now By the clock of the browser.
 */
export function joined(
  known: TermHistory,
  told: TermsView,
  ahead: number,
  now: number,
): TermHistory {
  const terms = [...known.terms];
  for (const span of told.terms) {
    const one: KnownTerm = {
      ...span,
      from: span.from - ahead,
      to: span.to === null ? null : span.to - ahead,
      lastSeen: now,
    };
    const index = terms.findIndex((other) => isSame(other, one));
    if (index === -1) terms.push(one);
    else terms[index] = better(terms[index]!, one);
  }
  terms.sort((a, b) => a.from - b.from || a.term - b.term);
  return {
    seenSince: Math.min(known.seenSince, told.seenSince - ahead),
    terms: terms.slice(-MOST_TERMS),
  };
}

/** The numbers begin again after the lease was deleted, so they alone do not tell a term. */
function isSame(a: KnownTerm, b: KnownTerm): boolean {
  if (a.term !== b.term || a.holder !== b.holder) return false;
  const end = (term: KnownTerm) => term.to ?? Infinity;
  return a.from <= end(b) + TOLERANCE && b.from <= end(a) + TOLERANCE;
}

function better(known: KnownTerm, told: KnownTerm): KnownTerm {
  const [first, second] = seen(told) > seen(known) ? [told, known] : [known, told];
  const to = first.to ?? second.to;
  return { ...first, to, reason: first.reason ?? second.reason, lastSeen: told.lastSeen };
}

function seen(term: KnownTerm): number {
  return (term.isFromRecord ? 0 : 2) + (term.to === null ? 0 : 1);
}

interface Stretch {
  readonly from: number;
  readonly to: number;
}

export interface Led extends Stretch {
  readonly term: KnownTerm;
  readonly isNow: boolean;
}

interface Gap extends Stretch {
  readonly isNow: boolean;
}

export interface Course {
  readonly led: readonly Led[];
  /** No process led. */
  readonly gaps: readonly Gap[];
  /** No process that was heard has seen it. */
  readonly unseen: readonly Stretch[];
}

/** Who led, when no process did, and what is not known. A gap is one only if both of its ends were seen. */
export function courseOf(history: TermHistory, isLeaderless: boolean, now: number): Course {
  const led: Led[] = [];
  const gaps: Gap[] = [];
  const unseen: Stretch[] = [];
  history.terms.forEach((term, index) => {
    const next = history.terms[index + 1];
    const isNow = next === undefined && term.to === null;
    const to = isNow ? now : (term.to ?? Math.min(term.lastSeen, next!.from));
    led.push({ term, isNow, from: term.from, to: Math.max(term.from, to) });
    if (next === undefined) {
      if (term.to !== null && isLeaderless) gaps.push({ from: term.to, to: now, isNow: true });
    } else if (next.from > to) {
      const isGap = term.to !== null && next.term === term.term + 1;
      if (isGap) gaps.push({ from: to, to: next.from, isNow: false });
      else unseen.push({ from: to, to: next.from });
    }
  });
  return { led, gaps, unseen };
}

/** The connection to who said it ends: what leads was seen until now. */
export function seenUntil(history: TermHistory, now: number): TermHistory {
  const terms = history.terms.map((term) =>
    term.to === null && term === history.terms.at(-1) ? { ...term, lastSeen: now } : term,
  );
  return { ...history, terms };
}
