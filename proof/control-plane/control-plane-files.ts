import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auditPolicy } from './audit-log.js';
import { CertificateAuthority } from './certificate-authority.js';
import { issuedSecret } from './printed-secrets.js';

/** One temporary directory, with the keys and settings that stay the same over every restart. */
export class ControlPlaneFiles {
  readonly directory = mkdtempSync(join(tmpdir(), 'control-plane-'));
  readonly adminToken = issuedSecret(randomBytes(16).toString('hex'));
  readonly ca: string;
  readonly caFile: string;
  readonly etcdSocket = this.path('etcd.sock');

  constructor({ auditsBodies = false }: { auditsBodies?: boolean | undefined } = {}) {
    const authority = new CertificateAuthority();
    const serving = authority.issueServingCertificate(['127.0.0.1', 'localhost']);
    const tokenKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.ca = authority.certificate;
    this.caFile = this.write('ca.crt', this.ca);
    this.write('apiserver.crt', serving.certificate);
    this.write('apiserver.key', serving.key);
    this.write('sa.key', tokenKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    this.write('sa.pub', tokenKeys.publicKey.export({ type: 'spki', format: 'pem' }).toString());
    this.write('tokens.csv', `${this.adminToken},admin,admin,"system:masters"\n`);
    this.write('audit-policy.json', JSON.stringify(auditPolicy(auditsBodies)));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  get etcdArguments(): string[] {
    return [
      `--data-dir=${this.path('etcd')}`,
      '--unsafe-no-fsync',
      // A socket file instead of a port: no other process can take it first, and no kube-apiserver
      // of another test can find it.
      `--listen-client-urls=unix://${this.etcdSocket}`,
      '--advertise-client-urls=http://127.0.0.1:2379',
      '--listen-peer-urls=http://127.0.0.1:0',
      '--log-level=warn',
    ];
  }

  auditLogFile(server: string): string {
    return this.path(`${server}.audit.log`);
  }

  apiServerArguments(server: string, port: number): string[] {
    return [
      `--etcd-servers=unix://${this.etcdSocket}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      // The default is looked for among the network's addresses and is an error without a network.
      '--advertise-address=127.0.0.1',
      '--endpoint-reconciler-type=none',
      `--cert-dir=${this.directory}`,
      `--tls-cert-file=${this.path('apiserver.crt')}`,
      `--tls-private-key-file=${this.path('apiserver.key')}`,
      `--service-account-key-file=${this.path('sa.pub')}`,
      `--service-account-signing-key-file=${this.path('sa.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--service-cluster-ip-range=10.0.0.0/24',
      '--authorization-mode=RBAC',
      // Without a controller manager no namespace gets the service account this plugin asks for.
      '--disable-admission-plugins=ServiceAccount',
      `--token-auth-file=${this.path('tokens.csv')}`,
      `--audit-policy-file=${this.path('audit-policy.json')}`,
      `--audit-log-path=${this.auditLogFile(server)}`,
      // One file for the longest run: the default cuts it at 100 MB.
      '--audit-log-maxsize=10000',
    ];
  }
}
