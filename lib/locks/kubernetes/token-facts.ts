/**
 * What a bearer token says of itself, as the tail of a sentence; empty if it is not a readable JWT. Never the token or
 * a part of it. The signature is not checked: this only helps people to see an expired or misdirected token.
 */
export function describeToken(token: string | undefined): string {
  const claims = claimsOf(token);
  if (claims === undefined) return '';
  const facts: string[] = [];
  if (typeof claims['sub'] === 'string') facts.push(`subject ${claims['sub']}`);
  const audience = [claims['aud']].flat().filter((each) => typeof each === 'string');
  if (audience.length > 0) facts.push(`audience ${audience.join(', ')}`);
  if (typeof claims['exp'] === 'number') facts.push(expiry(claims['exp']));
  return facts.length === 0 ? '' : ` (${facts.join('; ')})`;
}

function claimsOf(token: string | undefined): Record<string, unknown> | undefined {
  const payload = token?.split('.')[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof claims === 'object' && claims !== null
      ? (claims as Record<string, unknown>)
      : undefined;
  } catch {
    // Static tokens are not JWTs.
    return undefined;
  }
}

function expiry(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return 'no readable expiry';
  return `${date.getTime() < Date.now() ? 'expired' : 'expires'} ${date.toISOString()}`;
}
