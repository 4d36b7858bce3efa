import type { Axes, Impossible } from './combinations.js';

/** The choices of those who use this library, with the exact versions that stand for them. */

export const NODES = ['20.19.0', '22.23.3', '24.21.0', '26.10.0'];

/** The older and the newest of the oldest line: client-node has to say why it does not load there. */
export const KUBECONFIG_NODES = ['20.19.0', '20.20.2', '22.23.3', '24.21.0', '26.10.0'];

export const TYPESCRIPTS: Readonly<Record<string, string>> = {
  '5.9': '5.9.3',
  '6.0': '6.0.3',
  '7.0': '7.0.2',
};

const OF_ALL = [
  'reflect-metadata@0.2.2',
  'rxjs@7.8.2',
  'prom-client@15.1.3',
  '@opentelemetry/api@1.10.0',
  '@types/node@20.19.43',
];

/** What an application installs, by the major version of NestJS. */
export const NESTS: Readonly<
  Record<
    string,
    { readonly packages: readonly string[]; readonly platforms: Record<string, readonly string[]> }
  >
> = {
  '11': {
    packages: [
      '@nestjs/common@11.2.10',
      '@nestjs/core@11.2.10',
      '@nestjs/schedule@6.1.3',
      '@nestjs/terminus@11.1.1',
      ...OF_ALL,
    ],
    platforms: {
      Express: ['@nestjs/platform-express@11.2.10', '@types/express@5.0.6'],
      Fastify: ['@nestjs/platform-fastify@11.2.8'],
    },
  },
  '12': {
    packages: [
      '@nestjs/common@12.5.1',
      '@nestjs/core@12.5.1',
      '@nestjs/schedule@12.0.2',
      '@nestjs/terminus@12.1.0',
      ...OF_ALL,
    ],
    platforms: {
      Express: ['@nestjs/platform-express@12.5.1', '@types/express@5.0.6'],
      Fastify: ['@nestjs/platform-fastify@12.5.0'],
    },
  },
};

/** How the application loads what it needs. */
export interface ModuleSystem {
  readonly type: 'module' | 'commonjs';
  /** Of the compiler. */
  readonly module: string;
  readonly flags: readonly string[];
}

export const MODULE_SYSTEMS: Readonly<Record<string, ModuleSystem>> = {
  ESM: { type: 'module', module: 'nodenext', flags: [] },
  require: { type: 'commonjs', module: 'commonjs', flags: [] },
  'require of CommonJS alone': {
    type: 'commonjs',
    module: 'commonjs',
    flags: ['--no-experimental-require-module'],
  },
};

/** Other ways in which TypeScript finds the types. */
export const RESOLUTIONS: Readonly<Record<string, Record<string, string>>> = {
  'nodenext, CommonJS': { module: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
  node10: { module: 'commonjs', moduleResolution: 'node10' },
};

export const BUNDLERS = ['esbuild@0.28.2', 'webpack@5.113.0', 'webpack-cli@7.3.1'];

export const NEST_CLIS: Readonly<Record<string, readonly string[]>> = {
  '11': ['@nestjs/cli@11.0.24', '@swc/cli@0.8.1', '@swc/core@1.16.22'],
  '12': ['@nestjs/cli@12.0.8', '@swc/cli@0.8.1', '@swc/core@1.16.22'],
};

/** The oldest peers, and the newest. */
export const KUBECONFIG_NESTS: Readonly<Record<string, readonly string[]>> = {
  '11.0.0': [
    '@nestjs/common@11.0.0',
    '@nestjs/core@11.0.0',
    'reflect-metadata@0.1.13',
    'rxjs@7.2.0',
  ],
  '12.5.1': [
    '@nestjs/common@12.5.1',
    '@nestjs/core@12.5.1',
    'reflect-metadata@0.2.2',
    'rxjs@7.8.2',
  ],
};

const nests = Object.keys(NESTS);
const platforms = ['Express', 'Fastify'];
const typescripts = Object.keys(TYPESCRIPTS);

export const APPLICATIONS: Axes = {
  NestJS: nests,
  platform: platforms,
  modules: Object.keys(MODULE_SYSTEMS),
  TypeScript: typescripts,
  'Node.js': NODES,
};
export const TYPES: Axes = {
  NestJS: nests,
  resolution: Object.keys(RESOLUTIONS),
  TypeScript: typescripts,
};
export const BUNDLES: Axes = {
  bundler: ['esbuild', 'webpack'],
  modules: ['ESM', 'require'],
  NestJS: nests,
  platform: platforms,
  'Node.js': NODES,
};
export const SWC_BUILDER: Axes = {
  NestJS: nests,
  modules: ['ESM', 'require'],
  TypeScript: typescripts,
  'Node.js': NODES,
};
export const KUBECONFIGS: Axes = {
  NestJS: Object.keys(KUBECONFIG_NESTS),
  modules: ['ESM', 'require'],
  'client-node': ['none', '1.4.0', '2.0.1'],
  'Node.js': KUBECONFIG_NODES,
};

export const IMPOSSIBLE: Readonly<
  Record<'applications' | 'types' | 'bundles' | 'swcBuilder' | 'kubeconfigs', readonly Impossible[]>
> = {
  applications: [
    {
      when: { NestJS: ['12'], modules: ['require of CommonJS alone'] },
      why: 'NestJS 12 is published as ES modules alone',
      saying: /ERR_REQUIRE_ESM/,
    },
  ],
  types: [
    {
      when: { resolution: ['node10'], TypeScript: ['7.0'] },
      why: 'TypeScript 7 has no resolution `node10`',
      saying: /node10/i,
    },
  ],
  bundles: [],
  swcBuilder: [
    {
      when: { NestJS: ['12'], 'Node.js': ['20.19.0'] },
      why: 'nest-cli 12 does not load on Node.js 20.19.0, as its schematics require an ES module in a cycle',
      saying: /ERR_REQUIRE_CYCLE_MODULE/,
    },
    {
      when: { TypeScript: ['7.0'] },
      why: 'TypeScript 7 has no API for programs, which nest-cli needs',
      saying: /does not expose the programmatic compiler/,
    },
  ],
  kubeconfigs: [],
};
