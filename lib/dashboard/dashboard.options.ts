import type { CanActivate, DynamicModule, Type } from '@nestjs/common';
import { OptionReader } from '../core/option-reader.js';

/** Options of {@link LeaderDashboardModule.forRoot}. */
export interface LeaderDashboardOptions {
  /**
   * Where the page is, below the global prefix of the application. Its data is at `<path>/stream`.
   * @default '/leader'
   * @example
   * path: '/admin/leader'
   */
  readonly path?: string;
  /**
   * Guards of the page and of its data: classes or instances, as for `@UseGuards()`.
   * @default none: only the global guards of the application, if there are any
   * @example
   * guards: [AdminGuard]
   */
  readonly guards?: readonly (CanActivate | Type<CanActivate>)[];
  /**
   * Modules that export what the guards inject.
   * @default none
   * @example
   * imports: [AuthModule]
   */
  readonly imports?: DynamicModule['imports'];
  /**
   * Lets whoever passes the guards ask a leader to step down or to hand over, and trigger, suspend, resume and cancel jobs,
   * as the command line does. Needs `guards`.
   * @default false
   * @example
   * actions: true, guards: [AdminGuard]
   */
  readonly actions?: boolean;
}

export interface DashboardOptions {
  readonly actions: boolean;
  readonly path: string;
  readonly guards: readonly (CanActivate | Type<CanActivate>)[];
  readonly imports: NonNullable<DynamicModule['imports']>;
}

const PLACE = 'LeaderDashboardModule.forRoot()';
const FIELDS: readonly (keyof LeaderDashboardOptions)[] = ['path', 'guards', 'imports', 'actions'];
const DEFAULT_PATH = '/leader';
/** No parameter and no wildcard: the page asks for its data by its own address. */
const PATH = /^\/?[A-Za-z0-9._~-]+(?:\/[A-Za-z0-9._~-]+)*$|^\/$/;

/** @throws LeaderElectionOptionsError with every fault */
export function checkedDashboardOptions(options: unknown): DashboardOptions {
  const reader = new OptionReader(options, FIELDS);
  const path = reader.get('path') ?? DEFAULT_PATH;
  if (typeof path !== 'string' || !PATH.test(path)) {
    const rule = 'must be a path of fixed segments, without a slash at its end';
    reader.fault('path', path, rule, `use for example "${DEFAULT_PATH}"`);
  }
  const guards = listOf(reader, 'guards', 'use for example [AdminGuard]');
  for (const [index, guard] of guards.entries()) {
    if (isGuard(guard)) continue;
    const rule = 'must be a class or an object with a method canActivate';
    reader.fault(`guards[${index}]`, guard, rule, 'use what @UseGuards() takes');
  }
  const actions = reader.boolean('actions', false);
  if (actions && guards.length === 0) {
    const rule = 'needs guards, as whoever reaches the page could end the term of a leader';
    reader.fault('actions', true, rule, 'add for example guards: [AdminGuard], or remove it');
  }
  const imports = listOf(reader, 'imports', 'list the modules that export what the guards inject');
  reader.check(PLACE);
  return { path, guards, imports, actions } as DashboardOptions;
}

function listOf(reader: OptionReader, field: string, fix: string): readonly unknown[] {
  const value = reader.get(field) ?? [];
  if (Array.isArray(value)) return value;
  reader.fault(field, value, 'must be an array', fix);
  return [];
}

function isGuard(value: unknown): boolean {
  const canActivate =
    typeof value === 'function'
      ? (value.prototype as Partial<CanActivate> | undefined)?.canActivate
      : (value as Partial<CanActivate> | null)?.canActivate;
  return typeof canActivate === 'function';
}
