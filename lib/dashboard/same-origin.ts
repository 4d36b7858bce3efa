import type { IncomingHttpHeaders } from 'node:http';

/**
 * Why a request for data is not one of the dashboard's own page; undefined if it may be. Browsers say where a request comes
 * from, and what is not a browser carries no one's rights by accident.
 */
export function foreignReader(headers: IncomingHttpHeaders): string | undefined {
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return undefined;
  return `only the page of the dashboard may read this (Sec-Fetch-Site: ${site})`;
}

/** The page sends it; a form cannot, and a script elsewhere would have to ask for it first (CORS). */
const ACTION_HEADER = 'x-leader-dashboard';

/**
 * Why a request for an action is not certain to come from the dashboard's own page; undefined if it is. What a proxy adds to
 * a request is not asked: anyone can send that.
 */
export function foreignAction(headers: IncomingHttpHeaders): string | undefined {
  const [type = ''] = (headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/json') {
    return 'an action is sent with Content-Type: application/json';
  }
  if (headers[ACTION_HEADER] === undefined)
    return `an action is sent with the header ${ACTION_HEADER}`;
  const site = headers['sec-fetch-site'];
  if (site !== undefined) {
    if (site === 'same-origin') return undefined;
    return `only the page of the dashboard may ask for this (Sec-Fetch-Site: ${String(site)})`;
  }
  const { origin } = headers;
  if (origin === undefined) {
    return 'it is not known where the request comes from: it has neither Sec-Fetch-Site nor Origin';
  }
  const host = headers.host ?? headers[':authority'];
  if (typeof host === 'string' && hostOf(origin) === host.toLowerCase()) return undefined;
  return `only the page of the dashboard may ask for this, and ${origin} is not ${String(host)}`;
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
