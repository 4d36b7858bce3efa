/** How a kind is called in messages and in paths. */
export interface KindNames {
  readonly kind: string;
  readonly resource: string;
  /** Empty for the core group. */
  readonly group: string;
}

export function apiVersionOf({ group }: KindNames): string {
  return group === '' ? 'v1' : `${group}/v1`;
}

/** As `leases.coordination.k8s.io`, or `pods` in the core group. */
export function qualified(word: string, group: string): string {
  return group === '' ? word : `${word}.${group}`;
}
