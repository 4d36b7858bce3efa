export interface KubeconfigContext {
  server: string;
  caFile: string;
  /** As the file has it: `token`, `tokenFile`, `as` and so on. */
  user: object;
  namespace?: string;
}

/** A kubeconfig file's text; JSON, which every reader of YAML reads. */
export function kubeconfig({ server, caFile, user, namespace }: KubeconfigContext): string {
  const name = 'control-plane';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority': caFile } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name, ...(namespace && { namespace }) } }],
    'current-context': name,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
