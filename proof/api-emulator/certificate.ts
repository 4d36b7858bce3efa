import { execFileSync } from 'node:child_process';
import { sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** A self-signed certificate for localhost, made by openssl; it is its own CA. */
export function selfSignedCertificate(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'api-emulator-'));
  try {
    const key = join(folder, 'key.pem');
    const cert = join(folder, 'cert.pem');
    const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1';
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
        .concat(['-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost'])
        .concat(['-addext', names]),
      { stdio: 'pipe' },
    );
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of a time of X.509, which has 13 characters. */
const TIME = '\u0017\u000D';
/** From when until when a certificate is valid. */
const VALIDITY = new RegExp(`${TIME}\\d{12}Z${TIME}\\d{12}Z`);
/** A SEQUENCE whose length takes two bytes. */
const HEADER_BYTES = 4;
/** Identifies ECDSA with SHA-256. */
const ALGORITHM = Buffer.from('300a06082a8648ce3d040302', 'hex');

/** The same certificate with another time of validity, signed again: `openssl req` makes none that is over or has not begun. */
export function withValidity({ key, cert }: Certificate, from: Date, until: Date): Certificate {
  const der = Buffer.from(cert.replace(/-----[^-]+-----|\s/g, ''), 'base64').subarray(HEADER_BYTES);
  const body = der.subarray(0, HEADER_BYTES + der.readUInt16BE(2)).toString('latin1');
  const validity = [from, until].map((time) => `${TIME}${utcTime(time)}`).join('');
  const signed = Buffer.from(body.replace(VALIDITY, validity), 'latin1');
  const signature = sign('sha256', signed, key);
  const bits = Buffer.concat([Buffer.from([0x03, signature.length + 1, 0]), signature]);
  const whole = Buffer.concat([signed, ALGORITHM, bits]);
  const header = Buffer.from([0x30, 0x82, whole.length >> 8, whole.length & 0xff]);
  const lines = Buffer.concat([header, whole])
    .toString('base64')
    .match(/.{1,64}/g)!;
  const [begin, end] = ['BEGIN', 'END'].map((which) => `-----${which} CERTIFICATE-----`);
  return { key, cert: [begin, ...lines, end, ''].join('\n') };
}

function utcTime(time: Date): string {
  return `${time.toISOString().replace(/\D/g, '').slice(2, 14)}Z`;
}
