/** The few ASN.1 DER forms that an X.509 certificate is made of (X.690, RFC 5280). */

export function tagged(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.from([tag]), lengthOf(body), body]);
}

export function sequence(...items: Buffer[]): Buffer {
  return tagged(0x30, ...items);
}

export function set(...items: Buffer[]): Buffer {
  return tagged(0x31, ...items);
}

/** A context tag [n] around whole elements. */
export function explicit(n: number, ...items: Buffer[]): Buffer {
  return tagged(0xa0 | n, ...items);
}

/** The bytes of an unsigned number, most significant first. */
export function integer(bytes: Buffer): Buffer {
  const isNegative = (bytes[0] ?? 0) >= 0x80;
  return tagged(0x02, isNegative ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

export function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.from([value ? 0xff : 0]));
}

export function bitString(bytes: Buffer, unusedBits = 0): Buffer {
  return tagged(0x03, Buffer.from([unusedBits]), bytes);
}

export function octetString(bytes: Buffer): Buffer {
  return tagged(0x04, bytes);
}

export function utf8String(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text));
}

export function generalizedTime(date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+|\D/g, '');
  return tagged(0x18, Buffer.from(`${digits}Z`));
}

export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let high = value >>> 7; high > 0; high >>>= 7) digits.unshift((high & 0x7f) | 0x80);
  return digits;
}

function lengthOf(body: Buffer): Buffer {
  if (body.length < 0x80) return Buffer.from([body.length]);
  const hex = body.length.toString(16);
  const bytes = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}
