import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';
import {
  bitString,
  boolean,
  explicit,
  generalizedTime,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  tagged,
  utf8String,
} from './der.js';

const DAY_MS = 86_400_000;
const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
};

/**
 * Issues a serving certificate for chosen host names. The one that kube-apiserver would generate
 * for itself is valid for 127.0.0.1 but not for localhost, and node:crypto creates keys but no
 * certificates.
 */
export class CertificateAuthority {
  readonly certificate: string;
  private readonly key: KeyObject;
  // A name of its own for each authority: two of them can then stand in one bundle.
  private readonly name = `control plane test authority ${randomBytes(4).toString('hex')}`;

  /** A root, or an intermediate that `issuer` vouches for. */
  constructor(issuer?: CertificateAuthority) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.key = privateKey;
    this.certificate = (issuer ?? this).certify(this.name, publicKey, [
      extension(OID.basicConstraints, sequence(boolean(true)), boolean(true)),
    ]);
  }

  issueServingCertificate(hosts: readonly string[]): { certificate: string; key: string } {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certificate = this.certify('kube-apiserver', publicKey, [
      extension(OID.subjectAltName, sequence(...hosts.map(generalName))),
      extension(OID.extendedKeyUsage, sequence(objectIdentifier(OID.serverAuth))),
    ]);
    return { certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  }

  private certify(subject: string, publicKey: KeyObject, extensions: Buffer[]): string {
    const algorithm = sequence(objectIdentifier(OID.ecdsaWithSha256));
    const now = Date.now();
    const body = sequence(
      explicit(0, integer(Buffer.from([2]))),
      // The cleared high bit keeps the serial number positive without a padding byte.
      integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
      algorithm,
      distinguishedName(this.name),
      sequence(
        generalizedTime(new Date(now - DAY_MS)),
        generalizedTime(new Date(now + 365 * DAY_MS)),
      ),
      distinguishedName(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
      explicit(3, sequence(...extensions)),
    );
    const signature = bitString(sign('sha256', body, this.key));
    return toPem(sequence(body, algorithm, signature));
  }
}

function distinguishedName(commonName: string): Buffer {
  return sequence(set(sequence(objectIdentifier(OID.commonName), utf8String(commonName))));
}

function generalName(host: string): Buffer {
  return isIPv4(host)
    ? tagged(0x87, Buffer.from(host.split('.').map(Number)))
    : tagged(0x82, Buffer.from(host));
}

function extension(oid: string, value: Buffer, ...critical: Buffer[]): Buffer {
  return sequence(objectIdentifier(oid), ...critical, octetString(value));
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').replace(/(.{64})(?=.)/g, '$1\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
