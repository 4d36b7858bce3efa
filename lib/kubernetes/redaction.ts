import { codeOf, messageOf } from '../core/thrown-value.js';
import type { ClusterAccess } from './http/socket-basics.js';

/**
 * Keeps credentials out of messages, and so out of logs. Texts of others may repeat them: a proxy the request, a YAML
 * parser the line, a program its environment. And properties of their errors hold more than their messages say.
 */

const REDACTED = '<redacted>';
/** Replacing a shorter one would make a text unreadable. */
const SHORTEST_SECRET = 8;

/** The text without these secrets. */
export function redact(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text);
}

/** An answer that repeats the credentials (some proxies do) must not carry them into a message or a log. */
export function withoutSecrets(text: string, { headers }: ClusterAccess): string {
  const [scheme = '', secret = ''] = String(headers['Authorization'] ?? '').split(' ', 2);
  const password =
    scheme === 'Basic'
      ? Buffer.from(secret, 'base64')
          .toString('utf8')
          .replace(/^[^:]*:/, '')
      : '';
  return redact(text, [secret, password]);
}

const CREDENTIAL_SHAPES: readonly RegExp[] = [
  // A JSON Web Token; what is left of one that was cut off is one too.
  /\beyJ[\w-]{5,}(?:\.[\w-]*){0,2}/g,
  /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----[\s\S]*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----|$)/g,
  /(?<=\bBearer )\S+/g,
  // Of EKS: a signed request.
  /\bk8s-aws-v1\.[\w-]+/g,
  /(?<="(?:[a-z_-]*token|clientKeyData|client_secret|password)"\s*:\s*")(?:[^"\\]|\\.)+/gi,
];

/** The text without what looks like a credential, where it is not known which ones there are. */
export function withoutCredentials(text: string): string {
  return CREDENTIAL_SHAPES.reduce((rest, shape) => rest.replace(shape, REDACTED), text);
}

/** True of a text that can only be a credential, such as one that was written where a path belongs. */
export function looksLikeCredential(text: string): boolean {
  // PEM in Base64 begins like this.
  return text.includes('LS0tLS1CRUdJTi') || withoutCredentials(text) !== text;
}

/** What an error says, as one without the properties that it may have beside that. */
export function bareError(error: unknown, secrets: readonly string[] = []): Error {
  const bare = new Error(withoutCredentials(redact(messageOf(error), secrets)));
  const code = codeOf(error);
  return code === undefined ? bare : Object.assign(bare, { code });
}

/** The error without the bytes that a parser of HTTP attaches to it: they may repeat the request. */
export function withoutPacket<T extends Error>(error: T): T {
  delete (error as { rawPacket?: unknown }).rawPacket;
  return error;
}

/** A URL, or what was meant to be one, without what may be a user, a password or a token. */
export function urlWithoutSecrets(url: string): string {
  return url
    .replace(/^([a-z][\w+.-]*:\/\/)?.*@/is, `$1${REDACTED}@`)
    .replace(/([?#]).*$/s, `$1${REDACTED}`);
}
