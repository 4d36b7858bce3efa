import { cpSync, lstatSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lifeline } from '../control-plane/lifeline.js';
import { HistoryRecorder } from './history-recorder.js';
import { ProcessHistory } from './process-history.js';

/** The files of one run. Gone with it, and with its processes, however it ends; a failure's are copied first. */
export class RunDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'chaos-'));
  readonly lifeline = new Lifeline(this.path);

  /** Of the run itself. */
  readonly events = new HistoryRecorder(this.historyFile('run'));

  historyFile(process: string): string {
    return join(this.path, `${process}.jsonl`);
  }

  logFile(process: string): string {
    return join(this.path, `${process}.log`);
  }

  history(process: string): ProcessHistory {
    return ProcessHistory.read(process, this.textOf(this.historyFile(process)));
  }

  /** Answers where the copy is. */
  keep(seed: number, evidence: Readonly<Record<string, unknown>>): string {
    for (const [name, content] of Object.entries(evidence)) {
      writeFileSync(join(this.path, `${name}.json`), JSON.stringify(content, asText, 2));
    }
    const kept = mkdtempSync(join(tmpdir(), `chaos-failure-seed-${seed}-`));
    cpSync(this.path, kept, { recursive: true, filter: isEvidence });
    return kept;
  }

  remove(): Promise<void> {
    return this.lifeline.release();
  }

  /** Killed before it had begun, a process leaves no file. */
  private textOf(file: string): string {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  }
}

/** Neither a credential nor a socket of the file lock, which cannot be copied. */
function isEvidence(path: string): boolean {
  return !path.endsWith('.kubeconfig') && !lstatSync(path).isSocket();
}

function asText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
