import { createPrivateKey } from 'node:crypto';

const ENCODINGS = ['pkcs1', 'pkcs8', 'sec1'] as const;
const BLOCK = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----([\s\S]+?)-----END/;

/**
 * The key as OpenSSL reads it. OpenSSL goes by the label of a PEM block; Go, and so kubectl, tries every encoding
 * whatever the label, and some tools write PKCS#1 under `BEGIN PRIVATE KEY`. What cannot be read is returned as it is:
 * TLS then says why.
 */
export function readableKey(key: string | Buffer): string | Buffer {
  if (canRead(() => createPrivateKey(key))) return key;
  const encoded = BLOCK.exec(key.toString())?.[1];
  if (encoded === undefined) return key;
  const der = Buffer.from(encoded, 'base64');
  for (const type of ENCODINGS) {
    const read = () => createPrivateKey({ key: der, format: 'der', type });
    if (canRead(read)) return read().export({ type: 'pkcs8', format: 'pem' });
  }
  return key;
}

function canRead(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}
