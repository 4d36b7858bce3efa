import { type KindNames, qualified } from './kind-names.js';
import type { StoredObject } from './object-kind.js';
import { type Answer, statusAnswer } from './status-body.js';

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export function unmetPrecondition(
  { metadata }: StoredObject,
  { preconditions = {} }: DeleteOptions,
  { kind, group }: KindNames,
): Answer | undefined {
  const { name } = metadata;
  const check = (field: string, wanted: string | undefined, actual: string, guess: string) =>
    wanted === undefined || wanted === actual
      ? undefined
      : statusAnswer(
          409,
          'Conflict',
          `Operation cannot be fulfilled on ${qualified(kind, group)} "${name}": the ${field} in the ` +
            `precondition (${wanted}) does not match the ${field} in record (${actual}). ` +
            `The object might have been ${guess}`,
          { name, ...(group !== '' && { group }), kind },
        );
  const { uid, resourceVersion } = preconditions;
  return (
    check('UID', uid, metadata.uid, 'deleted and then recreated') ??
    check('ResourceVersion', resourceVersion, metadata.resourceVersion, 'modified')
  );
}
