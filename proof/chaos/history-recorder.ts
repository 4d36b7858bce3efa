import { openSync, writeSync } from 'node:fs';
import { monotonicNs } from '../fleet/monotonic-clock.js';
import type { LeaderRequest } from '../../lib/core/lease-record.js';
import type { InjectedFault } from './leadership-changes.js';
import type { RequestOutcome } from './operator.js';

/**
 * Appends to a history, in the form that judge/FORMAT.md describes. A line is in the file when the call returns, so that
 * it outlives the process however that ends.
 */
export class HistoryRecorder {
  private readonly file: number;
  private operations = 0;

  constructor(path: string) {
    this.file = openSync(path, 'a');
  }

  granted(term: number, token: bigint): void {
    this.append('granted', `"term":${term},"token":"${token}"`);
  }

  revoked(term: number, reason: string): void {
    this.append('revoked', `"term":${term},"reason":${JSON.stringify(reason)}`);
  }

  /** `at` must have been read before the process was asked: it stays true though it is stopped in between. */
  believed(at: bigint, term: number): void {
    this.append('believed', `"term":${term}`, at);
  }

  started(term: number, token: bigint, tick: number): void {
    this.append('tick', `"term":${term},"token":"${token}","tick":${tick}`);
  }

  logged(level: string, text: string): void {
    this.append('log', `"level":"${level}","text":${JSON.stringify(text)}`);
  }

  /** Answers the number of the operation, for its end. */
  writes(token: bigint): number {
    this.append('write', `"id":${++this.operations},"token":"${token}"`);
    return this.operations;
  }

  written(id: number, accepted: boolean): void {
    this.append('written', `"id":${id},"accepted":${accepted}`);
  }

  reads(): number {
    this.append('read', `"id":${++this.operations}`);
    return this.operations;
  }

  was(id: number, token: bigint, process: string): void {
    this.append('was', `"id":${id},"token":"${token}","process":${JSON.stringify(process)}`);
  }

  /** As a leader, of the request by that operator. */
  heard(by: string, isRefused: boolean): void {
    this.append('heard', `"by":${JSON.stringify(by)},"refused":${isRefused}`);
  }

  /** Of the run: a request is about to be written. */
  requested({ by = '', transitions, holderIdentity }: LeaderRequest): void {
    const holder = JSON.stringify(holderIdentity);
    this.append('requested', `"by":${JSON.stringify(by)},"term":${transitions},"holder":${holder}`);
  }

  requestEnded(by: string, outcome: RequestOutcome): void {
    this.append('request-ended', `"by":${JSON.stringify(by)},"outcome":"${outcome}"`);
  }

  ended(process: string): void {
    this.append('ended', `"process":${JSON.stringify(process)}`);
  }

  /** Times in milliseconds. */
  fault({ at, until = at, kind, process }: InjectedFault): void {
    const of = process === undefined ? '' : `,"process":${JSON.stringify(process)}`;
    const end = Math.round(until * 1e6);
    this.append('fault', `"until":${end},"kind":"${kind}"${of}`, BigInt(Math.round(at * 1e6)));
  }

  private append(type: string, fields: string, at = monotonicNs()): void {
    writeSync(this.file, `{"type":"${type}","at":${at},${fields}}\n`);
  }
}
