import { get, request } from 'node:http';

/** Why etcd does not serve requests yet, or undefined once it does. */
export function etcdObstacle(socketPath: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    get({ socketPath, path: '/health', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? undefined : `health: ${response.statusCode}`);
    }).once('error', (error) => resolve(error.message));
  });
}

/**
 * Makes a new revision and forgets all before it, as a kube-apiserver asks for every five minutes. The key is none that it
 * reads.
 */
export async function compactEtcd(socketPath: string): Promise<void> {
  const key = Buffer.from('compacted').toString('base64');
  const { header } = (await call(socketPath, '/v3/kv/put', { key })) as {
    header: { revision: string };
  };
  await call(socketPath, '/v3/kv/compaction', { revision: header.revision, physical: true });
}

/** By the JSON gateway of etcd. */
function call(socketPath: string, path: string, body: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method: 'POST', agent: false }, (response) => {
      let text = '';
      response
        .setEncoding('utf8')
        .on('data', (part: string) => (text += part))
        .once('error', reject)
        .once('end', () => {
          if (response.statusCode === 200) resolve(JSON.parse(text));
          else reject(new Error(`etcd ${path}: ${response.statusCode} ${text}`));
        });
    });
    sent.once('error', reject).end(JSON.stringify(body));
  });
}
