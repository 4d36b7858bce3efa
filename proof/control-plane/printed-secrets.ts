/**
 * The tokens that control planes of this process have issued, and the lines in which a process of a fleet has printed
 * one of them or what looks like a credential. The end-to-end tests demand after each test that there is none.
 */
const issued = new Set<string>();
const found: string[] = [];

const CREDENTIAL_SHAPES = [
  /\beyJ[\w-]{8,}\.[\w-]{8,}/,
  /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/,
  /\b(?:Bearer|Basic) (?=\S*\d)[\w+/=.-]{8,}/,
];

export function issuedSecret(secret: string): string {
  issued.add(secret);
  return secret;
}

/** Remembers the line if it holds a secret. */
export function lookForSecrets(who: string, line: string): void {
  const isSecret =
    CREDENTIAL_SHAPES.some((shape) => shape.test(line)) ||
    [...issued].some((secret) => line.includes(secret));
  if (isSecret) found.push(`${who} printed a credential: ${line}`);
}

/** Those found since it was last asked. */
export function takePrintedSecrets(): string[] {
  return found.splice(0);
}
