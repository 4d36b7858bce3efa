import { LeaderElectionOptionsError } from '../../core/errors.js';

/** A method of instances, as a legacy (`experimentalDecorators`) method decorator is told of it. */
export interface MethodTarget {
  readonly prototype: object;
  readonly key: string | symbol;
  readonly descriptor: PropertyDescriptor;
}

/** @throws LeaderElectionOptionsError at decoration, naming what was decorated */
export function methodTarget(
  decorator: string,
  target: unknown,
  key: unknown,
  descriptor: PropertyDescriptor | undefined,
): MethodTarget {
  if (isStandardContext(key)) {
    throw decorationFault(
      decorator,
      undefined,
      'is a legacy decorator, as those of Nest are, and was applied as a standard one',
      'set "experimentalDecorators": true in tsconfig.json',
    );
  }
  const isStatic = typeof target === 'function';
  const owner = isStatic ? target.name : ((target as object | undefined)?.constructor?.name ?? '?');
  const place = `${decorator} on ${owner}.${String(key)}`;
  if (isStatic) {
    const rule = 'works on methods of instances; this one is static and belongs to no instance';
    throw decorationFault(place, undefined, rule, 'make it an instance method of a provider');
  }
  if (descriptor !== undefined && !('value' in descriptor)) {
    const rule = 'works on methods; this is an accessor';
    throw decorationFault(place, undefined, rule, 'make it a method');
  }
  if (typeof descriptor?.value !== 'function') {
    const rule = 'works on methods; this is a property, and an arrow function in one too';
    throw decorationFault(place, undefined, rule, `write ${String(key)}() { … }`);
  }
  return { prototype: target as object, key: key as string | symbol, descriptor };
}

/** A role as decorators take it. @throws LeaderElectionOptionsError at decoration */
export function checkedRole(decorator: string, role: unknown): string | undefined {
  if (role === undefined) return undefined;
  if (typeof role === 'string' && role !== '' && role.trim() === role) return role;
  const rule =
    'must be a non-empty string without spaces around it, or absent if there is one role';
  throw decorationFault(
    `${decorator} role`,
    role,
    rule,
    'use a role given to LeaderElectionModule',
  );
}

export function decorationFault(
  field: string,
  value: unknown,
  rule: string,
  fix: string,
): LeaderElectionOptionsError {
  return new LeaderElectionOptionsError([{ field, value, rule, fix }]);
}

function isStandardContext(key: unknown): boolean {
  return typeof key === 'object' && key !== null && 'kind' in key;
}
