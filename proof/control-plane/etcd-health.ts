import { get } from 'node:http';

/** Why etcd does not serve requests yet, or undefined once it does. */
export function etcdObstacle(socketPath: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    get({ socketPath, path: '/health', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? undefined : `health: ${response.statusCode}`);
    }).once('error', (error) => resolve(error.message));
  });
}
