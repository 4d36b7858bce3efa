import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isAbsolute } from 'node:path';
import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import {
  formatAddress,
  formatAnswer,
  formatCrowd,
  formatGaveUp,
  formatHolderName,
  formatMicroTime,
  formatRequest,
  formatSuccessor,
  parseAddress,
  parseAnswer,
  parseCrowd,
  parseGaveUp,
  parseHolderName,
  parseMicroTime,
  parseRequest,
  parseSuccessor,
} from '../record-text.js';
import { CREATION_FILE, isUid, type LeaseFileName } from './lease-paths.js';

const LINUX_BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * The running kernel. Containers on one kernel can ask after each other's processes by a socket file in a shared
 * directory; a process under another kernel, or before a reboot, refuses every connection and yet may be alive.
 */
export interface HostKernel {
  readonly name: string;
  /**
   * True if no other kernel and no earlier boot has this name. A host name gives no such certainty: if two are equal,
   * only a process that was heard is known to run under this kernel.
   */
  readonly isUnique: boolean;
}

export function hostKernel(readText: (path: string) => string = readUtf8): HostKernel {
  const bootId = process.platform === 'linux' ? linuxBootId(readText) : '';
  if (bootId !== '') return { name: bootId, isUnique: true };
  return { name: `${process.platform} ${hostname()}`, isUnique: false };
}

function linuxBootId(readText: (path: string) => string): string {
  try {
    return readText(LINUX_BOOT_ID).trim();
  } catch {
    // There is no procfs, or no descriptor for it at the moment.
    return '';
  }
}

function readUtf8(path: string): string {
  return readFileSync(path, 'utf8');
}

/** The process that wrote a record as its holder, so that others can ask whether it lives. */
export interface HolderProcess {
  /** The running kernel. A socket file says nothing about a process under another kernel. */
  readonly kernel: string;
  /** For people only. */
  readonly pid: number;
  /** Path of the socket on which the process listens for as long as it lives. */
  readonly socket: string;
}

/** What {@link ObservedLease.source} is for this lock: the file as it was read. */
export interface LeaseFileSource {
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly holderProcess: HolderProcess | null;
}

export interface ObservedLeaseFile extends ObservedLease {
  readonly source: LeaseFileSource;
}

/** The uid of a lease whose creation file was damaged before anything was written after it. */
export const UNREADABLE = 'unreadable';

/** `kept` holds the fields of the replaced file; those this library does not know are written back (R6). */
export function formatLeaseFile(
  lease: {
    readonly record: LeaseRecord;
    readonly uid: string;
    readonly revision: bigint;
    readonly holderProcess: HolderProcess | null;
  },
  kept: Readonly<Record<string, unknown>> = {},
): string {
  const { record } = lease;
  const fields = {
    ...kept,
    uid: lease.uid,
    revision: String(lease.revision),
    holderIdentity: record.holderIdentity,
    leaseDurationSeconds: record.leaseDurationSeconds,
    acquireTime: printedTime(record.acquireTimeMicros),
    renewTime: printedTime(record.renewTimeMicros),
    leaseTransitions: record.leaseTransitions,
    releasedTransitions: record.releasedTransitions,
    application: formatHolderName(record, 'application'),
    member: formatHolderName(record, 'memberUid'),
    crowd: formatCrowd(record),
    successor: formatSuccessor(record),
    gaveUp: formatGaveUp(record),
    address: formatAddress(record),
    request: formatRequest(record),
    answer: formatAnswer(record),
    holderProcess: lease.holderProcess,
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

/**
 * Never throws (R17). Uid and revision come from the name of the file, which an edit does not change. A text that is not
 * a record may hide a holder, so it counts as an unknown holder with an unknown duration.
 */
export function parseLeaseFile(
  text: string,
  { name, uid, revision }: LeaseFileName,
): ObservedLeaseFile {
  const fields = parseFields(text);
  const source: LeaseFileSource = {
    text,
    fields: fields ?? {},
    holderProcess: parseHolderProcess(fields?.['holderProcess']),
  };
  if (fields === null) {
    const timingKey = JSON.stringify([uid, createHash('sha256').update(text).digest('hex')]);
    return { record: unreadableRecord(name), uid, revision, timingKey, source };
  }
  const timing = [
    fields['holderIdentity'],
    fields['leaseDurationSeconds'],
    fields['acquireTime'],
    fields['renewTime'],
    fields['leaseTransitions'],
  ];
  const timingKey = JSON.stringify([uid, ...timing]);
  return { record: parseRecord(fields), uid, revision, timingKey, source };
}

/** An unreadable creation file has the uid of the newest version, and counts as older than any. */
export function parseCreationFile(text: string, newestUid = UNREADABLE): ObservedLeaseFile {
  const { uid, revision } = parseFields(text) ?? {};
  const known = isUid(uid) && typeof revision === 'string' && /^\d{1,30}$/.test(revision);
  return parseLeaseFile(text, {
    name: CREATION_FILE,
    uid: known ? uid : newestUid,
    revision: known ? BigInt(revision) : 0n,
  });
}

export function isLeaseFileSource(source: unknown): source is LeaseFileSource {
  return typeof source === 'object' && source !== null && 'text' in source && 'fields' in source;
}

/** Null if the text is not that of a lease file. */
function parseFields(text: string): Record<string, unknown> | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Edited by hand or cut off: the caller treats it as unreadable.
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const fields = value as Record<string, unknown>;
  const holder = fields['holderIdentity'];
  return holder === undefined || holder === null || typeof holder === 'string' ? fields : null;
}

function parseRecord(fields: Readonly<Record<string, unknown>>): LeaseRecord {
  const duration = wholeNumber(fields['leaseDurationSeconds']);
  const leaseTransitions = wholeNumber(fields['leaseTransitions']) ?? 0;
  return {
    holderIdentity: (fields['holderIdentity'] as string | null | undefined) ?? '',
    leaseDurationSeconds: duration === 0 ? null : duration,
    acquireTimeMicros: parseMicroTime(fields['acquireTime']),
    renewTimeMicros: parseMicroTime(fields['renewTime']),
    leaseTransitions,
    releasedTransitions: wholeNumber(fields['releasedTransitions']),
    application: parseHolderName(fields['application'], leaseTransitions),
    memberUid: parseHolderName(fields['member'], leaseTransitions),
    crowd: parseCrowd(fields['crowd']),
    successor: parseSuccessor(fields['successor']),
    gaveUp: parseGaveUp(fields['gaveUp']),
    address: parseAddress(fields['address']),
    request: parseRequest(fields['request']),
    answer: parseAnswer(fields['answer']),
  };
}

function unreadableRecord(name: string): LeaseRecord {
  return {
    holderIdentity: `unknown (${name} is unreadable)`,
    leaseDurationSeconds: null,
    acquireTimeMicros: null,
    renewTimeMicros: null,
    leaseTransitions: 0,
    releasedTransitions: null,
  };
}

function parseHolderProcess(value: unknown): HolderProcess | null {
  if (typeof value !== 'object' || value === null) return null;
  const { kernel, pid, socket } = value as Record<string, unknown>;
  if (typeof kernel !== 'string' || typeof pid !== 'number' || typeof socket !== 'string') {
    return null;
  }
  // Anything else was edited, and connecting to it might be refused: a file of another directory, a port, no file at
  // all.
  if (!isAbsolute(socket) || socket.includes('\0')) return null;
  return { kernel, pid, socket };
}

function wholeNumber(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

function printedTime(micros: number | null): string | null {
  return micros === null ? null : formatMicroTime(micros);
}
