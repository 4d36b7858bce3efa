import type { ContainerEnd, ContainerMark, ContainerUnknown } from '../core/container.js';
import { faultText, MembersUnknownError } from '../core/errors.js';
import type { Member, MemberSource } from '../core/member.js';
import { messageOf } from '../core/thrown-value.js';
import { ignoreOutcome } from '../elector/work-in-flight.js';

/**
 * What a source of members tells may come from a lock of the application's own, in JavaScript. It is copied, so that its
 * later use cannot fail, and no later change of it counts.
 */

type Fields = Readonly<Record<string, unknown>>;

/** @throws Error that names what was made, the rule and the fix */
export function sourceMade(made: unknown): MemberSource {
  const { start, close } = isObject(made) ? made : {};
  if (typeof start === 'function' && typeof close === 'function') return made as MemberSource;
  ignoreOutcome(made);
  const rule = 'must return an object with start() and close()';
  throw wrong('competitors()', made, rule, 'return a MemberSource, at once and not as a promise');
}

/** @throws Error that names the field, its value, the rule and the fix */
export function membersTold(told: unknown): readonly Member[] {
  if (!Array.isArray(told)) {
    throw wrong('members', told, 'must be a list', 'call members() with a list of all members');
  }
  return Array.from(told, (member: unknown, index) => memberTold(member, `members[${index}]`));
}

function memberTold(told: unknown, path: string): Member {
  if (!isObject(told)) throw wrong(path, told, 'must be an object', 'tell a Member');
  const templateHash = optionalText(told, 'templateHash', path);
  const node = optionalText(told, 'node', path);
  return Object.freeze({
    name: text(told, 'name', path),
    uid: text(told, 'uid', path),
    isReady: flag(told, 'isReady', path),
    isTerminating: flag(told, 'isTerminating', path),
    createdAt: date(told, 'createdAt', path),
    ...(templateHash !== undefined && { templateHash }),
    ...(node !== undefined && { node }),
    isSelf: flag(told, 'isSelf', path),
  });
}

/** Why they are unknown: the error of the source or, where it said anything else, that. */
export function whyUnknown(told: unknown): MembersUnknownError {
  try {
    if (told instanceof MembersUnknownError && typeof told.message === 'string') return told;
  } catch {
    // It cannot even be looked at.
  }
  return new MembersUnknownError(messageOf(told), { cause: told });
}

/** Undefined for what proves nothing. */
export function endTold(told: unknown): ContainerEnd | undefined {
  try {
    if (!isObject(told)) return undefined;
    const { podUid, containerId, finishedAtMicros } = told;
    if (typeof podUid !== 'string' || typeof containerId !== 'string') return undefined;
    if (typeof finishedAtMicros !== 'number' || !Number.isFinite(finishedAtMicros))
      return undefined;
    return { podUid, containerId, finishedAtMicros };
  } catch {
    // It cannot even be looked at.
    return undefined;
  }
}

/** @throws Error that names the field, its value, the rule and the fix */
export function containerTold(told: unknown): ContainerMark | ContainerUnknown | undefined {
  if (told === undefined) return told;
  const path = 'ownContainer()';
  if (!isObject(told)) {
    throw wrong(path, told, 'must be an object', 'answer a ContainerMark or a ContainerUnknown');
  }
  if ('why' in told) return { why: text(told, 'why', path), mayPass: flag(told, 'mayPass', path) };
  return {
    podUid: text(told, 'podUid', path),
    containerName: text(told, 'containerName', path),
    containerId: text(told, 'containerId', path),
  };
}

function text(fields: Fields, field: string, path: string): string {
  const value = fields[field];
  if (typeof value === 'string' && value !== '') return value;
  throw wrong(`${path}.${field}`, value, 'must be a non-empty string', 'give one');
}

function optionalText(fields: Fields, field: string, path: string): string | undefined {
  const value = fields[field];
  if (value === undefined || typeof value === 'string') return value;
  throw wrong(`${path}.${field}`, value, 'must be a string', 'give one, or leave it out');
}

function flag(fields: Fields, field: string, path: string): boolean {
  const value = fields[field];
  if (typeof value === 'boolean') return value;
  throw wrong(`${path}.${field}`, value, 'must be a boolean', 'give true or false');
}

function date(fields: Fields, field: string, path: string): Date {
  const value = fields[field];
  if (value instanceof Date && !Number.isNaN(value.getTime())) return new Date(value.getTime());
  throw wrong(`${path}.${field}`, value, 'must be a valid Date', 'give new Date(…)');
}

function wrong(field: string, value: unknown, rule: string, fix: string): Error {
  return new Error(faultText({ field, value, rule, fix }));
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
