import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Prints the bill of materials of the package in CycloneDX: what npm knows it to depend on, which is nothing, and what
 * `build-page.js` puts into the page of the dashboard. npm takes that for a tool of the developers.
 */
const BUNDLED = ['preact'];
/** By the taxonomy of CycloneDX for npm. */
const PART_OF_THE_PAGE = { name: 'cdx:npm:package:bundled', value: 'true' };

const shipped = npmSbom('--omit', 'dev');
const locked = npmSbom().components;
const bundled = BUNDLED.map((part) => {
  const component = locked.find((each) => each.name === part);
  if (component === undefined) throw new Error(`${part} is not in package-lock.json`);
  return { ...component, scope: 'required', properties: [PART_OF_THE_PAGE] };
});
const [own, ...others] = shipped.dependencies;
const { name } = JSON.parse(readFileSync('package.json', 'utf8'));
const bom = {
  ...shipped,
  // npm takes the name of the folder.
  metadata: { ...shipped.metadata, component: { ...shipped.metadata.component, name } },
  components: [...shipped.components, ...bundled],
  dependencies: [
    { ...own, dependsOn: [...own.dependsOn, ...bundled.map((each) => each['bom-ref'])] },
    ...others,
    ...bundled.map((each) => ({ ref: each['bom-ref'], dependsOn: [] })),
  ],
};
process.stdout.write(`${JSON.stringify(bom, null, 2)}\n`);

function npmSbom(...options) {
  const args = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx'];
  const text = execFileSync('npm', [...args, '--sbom-type', 'library', ...options], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(text);
}
