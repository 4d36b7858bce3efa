import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { CertificateAuthority } from '../../proof/control-plane/certificate-authority.js';
import type { ControlPlane } from '../../proof/control-plane/control-plane.js';

/** What a webhook answers, without the uid; see `AdmissionReview` of `admission.k8s.io/v1`. */
export type AdmissionAnswer =
  | { readonly allowed: false; readonly status?: object }
  | { readonly allowed: true; readonly patch?: readonly object[] };

const EFFECT_LIMIT_MS = 20_000;

/** A real admission webhook, which a control plane asks about every Lease that is written in one namespace. */
export class AdmissionWebhook {
  answer: AdmissionAnswer = { allowed: true };
  private isAsked = false;

  private constructor(private readonly server: Server) {}

  static async start(
    controlPlane: ControlPlane,
    kind: 'Validating' | 'Mutating',
    namespace: string,
  ): Promise<AdmissionWebhook> {
    const authority = new CertificateAuthority();
    const { certificate: cert, key } = authority.issueServingCertificate(['127.0.0.1']);
    const server = createServer({ cert, key });
    const webhook = new AdmissionWebhook(server);
    server.on('request', (request, response) => {
      let text = '';
      request.on('data', (part: Buffer) => (text += part.toString()));
      request.on('end', () => response.end(webhook.review(text)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await controlPlane.request(
      'POST',
      `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}webhookconfigurations`,
      {
        metadata: { name: namespace },
        webhooks: [
          {
            name: 'leases.acme.test',
            clientConfig: {
              url: `https://127.0.0.1:${port}/`,
              caBundle: Buffer.from(authority.certificate).toString('base64'),
            },
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
            rules: [
              {
                apiGroups: ['coordination.k8s.io'],
                apiVersions: ['v1'],
                operations: ['CREATE', 'UPDATE'],
                resources: ['leases'],
              },
            ],
            sideEffects: 'None',
            admissionReviewVersions: ['v1'],
            failurePolicy: 'Fail',
          },
        ],
      },
    );
    await webhook.untilAsked(controlPlane, namespace);
    return webhook;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private review(text: string): string {
    this.isAsked = true;
    const { apiVersion, kind, request } = JSON.parse(text) as {
      apiVersion: string;
      kind: string;
      request: { uid: string };
    };
    const { patch, ...answer } = { patch: undefined, ...this.answer };
    const patched = patch && {
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    };
    return JSON.stringify({
      apiVersion,
      kind,
      response: { uid: request.uid, ...answer, ...patched },
    });
  }

  /** A configuration takes effect a moment after it was written. */
  private async untilAsked(controlPlane: ControlPlane, namespace: string): Promise<void> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
    const deadline = performance.now() + EFFECT_LIMIT_MS;
    for (let i = 0; !this.isAsked; i++) {
      if (performance.now() > deadline) throw new Error(`no webhook call in ${EFFECT_LIMIT_MS} ms`);
      await controlPlane.request('POST', path, { metadata: { name: `probe-${i}` }, spec: {} });
      await delay(100);
    }
  }
}
