import { dirname, isAbsolute, join } from 'node:path';
import { LockRequestError } from '../../core/errors.js';
import { isJsonObject, type JsonObject } from '../../core/json-document.js';

/** A kubeconfig as kubectl understands it. */
export interface Kubeconfig {
  /** Empty if no file names one. */
  readonly currentContext: string;
  readonly contexts: ReadonlyMap<string, KubeconfigEntry>;
  readonly clusters: ReadonlyMap<string, KubeconfigEntry>;
  readonly users: ReadonlyMap<string, KubeconfigEntry>;
}

export interface KubeconfigFile {
  readonly path: string;
  readonly content: unknown;
}

/**
 * Several files as one, by kubectl's rules: the first that names a current context decides it, and the first that has a
 * cluster, user or context of a name has the whole of it.
 */
export function mergeKubeconfigs(files: readonly KubeconfigFile[]): Kubeconfig {
  const parsed = files.map(parseFile);
  const merged = (section: 'contexts' | 'clusters' | 'users') =>
    new Map(parsed.toReversed().flatMap((each) => [...each[section]]));
  return {
    currentContext:
      parsed.find(({ currentContext }) => currentContext !== '')?.currentContext ?? '',
    contexts: merged('contexts'),
    clusters: merged('clusters'),
    users: merged('users'),
  };
}

function parseFile({ path, content }: KubeconfigFile): Kubeconfig {
  if (!isJsonObject(content)) throw unusable(`${path} is not a kubeconfig`);
  const file = new KubeconfigEntry(path, content, dirname(path));
  const kind = file.text('kind') || 'Config';
  const apiVersion = file.text('apiVersion') || 'v1';
  if (kind !== 'Config' || apiVersion !== 'v1') {
    throw unusable(`${path} is not a kubeconfig but a ${kind} of ${apiVersion}`);
  }
  return {
    currentContext: file.text('current-context'),
    contexts: file.named('contexts', 'context'),
    clusters: file.named('clusters', 'cluster'),
    users: file.named('users', 'user'),
  };
}

/** A part of a kubeconfig, read with the types that kubectl demands. An absent field is empty, false or undefined. */
export class KubeconfigEntry {
  constructor(
    /** For messages: the file and the place in it. */
    readonly where: string,
    private readonly fields: JsonObject,
    /** What relative paths start from. */
    private readonly directory: string,
  ) {}

  text(field: string): string {
    const value = this.fields[field] ?? '';
    if (typeof value !== 'string') throw this.fault(field, 'must be text');
    return value;
  }

  flag(field: string): boolean {
    const value = this.fields[field] ?? false;
    if (typeof value !== 'boolean') throw this.fault(field, 'must be true or false');
    return value;
  }

  texts(field: string): string[] {
    return this.list(field).map((value) => {
      if (typeof value !== 'string') throw this.fault(field, 'must be a list of strings');
      return value;
    });
  }

  /** Lists of texts by name. */
  textsByName(field: string): [name: string, values: string[]][] {
    const entry = this.entry(field);
    return entry === undefined
      ? []
      : Object.keys(entry.fields).map((name) => [name, entry.texts(name)]);
  }

  /** Every field, all being texts. */
  allTexts(): [name: string, value: string][] {
    return Object.keys(this.fields).map((name) => [name, this.text(name)]);
  }

  /** Base64, as Go reads it: nothing is guessed of what is not. */
  bytes(field: string): Buffer | undefined {
    const text = this.text(field).replace(/[\r\n]/g, '');
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text) throw this.fault(field, 'must be base64');
    return text === '' ? undefined : bytes;
  }

  /** A path, relative ones to the folder of the file. */
  path(field: string): string {
    const path = this.text(field);
    return path === '' || isAbsolute(path) ? path : join(this.directory, path);
  }

  entry(field: string): KubeconfigEntry | undefined {
    const value = this.fields[field] ?? undefined;
    if (value === undefined) return undefined;
    if (!isJsonObject(value)) throw this.fault(field, 'must be an object');
    return new KubeconfigEntry(`${this.where}, ${field}`, value, this.directory);
  }

  entries(field: string): KubeconfigEntry[] {
    return this.list(field).map((value, index) => {
      if (!isJsonObject(value)) throw this.fault(field, 'must be a list of objects');
      return new KubeconfigEntry(`${this.where}, ${field}[${index}]`, value, this.directory);
    });
  }

  /** The content of a field whose form is not kubectl's business. */
  raw(field: string): unknown {
    return this.fields[field];
  }

  /** A list of objects with a name each, and what each holds in the field `of`. */
  named(field: string, of: string): Map<string, KubeconfigEntry> {
    const found = new Map<string, KubeconfigEntry>();
    for (const item of this.entries(field)) {
      const name = item.text('name');
      if (found.has(name)) throw this.fault(field, `has two entries named "${name}"`);
      const fields = item.entry(of)?.fields ?? {};
      found.set(
        name,
        new KubeconfigEntry(`${this.where}, ${of} "${name}"`, fields, this.directory),
      );
    }
    return found;
  }

  /** Nothing, in place of an entry that is not there. */
  empty(): KubeconfigEntry {
    return new KubeconfigEntry(this.where, {}, this.directory);
  }

  fault(field: string, rule: string): LockRequestError {
    return unusable(`${this.where}: ${field} ${rule}`);
  }

  private list(field: string): unknown[] {
    const value = this.fields[field] ?? [];
    if (!Array.isArray(value)) throw this.fault(field, 'must be a list');
    return value;
  }
}

function unusable(what: string): LockRequestError {
  return new LockRequestError(`the kubeconfig cannot be used: ${what}.`, { reason: 'unreachable' });
}
