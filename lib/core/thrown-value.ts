/**
 * Reads values that foreign code threw or rejected with. Anything can be thrown, and every look at an object may run
 * foreign code (getters, proxies) that throws in turn: none of these functions does, whatever the value is.
 */

const UNREADABLE = 'something that cannot be read';

/** What it says: its message, or where it has none its code, its name or itself as text. */
export function messageOf(thrown: unknown): string {
  return (
    textProperty(thrown, 'message') ??
    codeOf(thrown) ??
    textProperty(thrown, 'name') ??
    printed(thrown)
  );
}

/** `TypeError: x is not a function`; without a name only what it says. */
export function titleOf(thrown: unknown): string {
  const message = messageOf(thrown);
  const name = textProperty(thrown, 'name');
  return name === undefined || name === message ? message : `${name}: ${message}`;
}

/** Of its class, as a rule. */
export function nameOf(thrown: unknown): string | undefined {
  return textProperty(thrown, 'name');
}

export function stackOf(thrown: unknown): string | undefined {
  return textProperty(thrown, 'stack');
}

/** The `code` of Node.js' errors, e.g. `ECONNREFUSED`. */
export function codeOf(thrown: unknown): string | undefined {
  return textProperty(thrown, 'code');
}

/** What to do where no file or socket can be opened, by the {@link codeOf} of the error. */
export const TOO_MANY_OPEN_FILES = {
  EMFILE: 'this process has too many open files: close some, or raise its limit (ulimit -n)',
  ENFILE: 'the host has too many open files: close some, or raise its limit (fs.file-max)',
} as const;

export function causeOf(thrown: unknown): unknown {
  return propertyOf(thrown, 'cause');
}

function textProperty(thrown: unknown, key: string): string | undefined {
  const value = propertyOf(thrown, key);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function propertyOf(thrown: unknown, key: string): unknown {
  if ((typeof thrown !== 'object' && typeof thrown !== 'function') || thrown === null) {
    return undefined;
  }
  try {
    return (thrown as Record<string, unknown>)[key];
  } catch {
    // A getter that throws or a revoked proxy: it has nothing to say.
    return undefined;
  }
}

function printed(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    // No prototype, a toString of its own, a revoked proxy.
    return UNREADABLE;
  }
}
