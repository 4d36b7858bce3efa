import { ControlPlane } from './control-plane.js';

const controlPlane = await ControlPlane.start();
console.log(`export KUBECONFIG=${controlPlane.adminKubeconfig}`);
console.log(`logs: ${controlPlane.directory}; Ctrl+C stops it and removes everything`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void controlPlane.stop());
}
