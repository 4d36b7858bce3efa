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
