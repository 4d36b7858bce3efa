/** The API's `Status` object, the body of its errors. Every field may be missing. */
export interface ApiStatus {
  readonly kind?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: {
    readonly kind?: string;
    readonly name?: string;
    readonly causes?: readonly { readonly reason?: string; readonly message?: string }[];
  };
}

export function parseStatus(body: string): ApiStatus | null {
  try {
    return asStatus(JSON.parse(body));
  } catch {
    // Proxies answer in HTML or plain text.
    return null;
  }
}

export function asStatus(json: unknown): ApiStatus | null {
  if (typeof json !== 'object' || json === null) return null;
  const { kind, message, reason, code, details } = json as Record<string, unknown>;
  if (kind !== 'Status') return null;
  return {
    kind,
    ...(typeof message === 'string' && { message }),
    ...(typeof reason === 'string' && { reason }),
    ...(typeof code === 'number' && { code }),
    ...(typeof details === 'object' && details !== null && { details: detailsOf(details) }),
  };
}

function detailsOf(details: object): NonNullable<ApiStatus['details']> {
  const { kind, name, causes } = details as Record<string, unknown>;
  const objects = Array.isArray(causes)
    ? causes.filter((cause) => typeof cause === 'object' && cause !== null)
    : [];
  return {
    ...(typeof kind === 'string' && { kind }),
    ...(typeof name === 'string' && { name }),
    causes: objects as { reason?: string; message?: string }[],
  };
}
