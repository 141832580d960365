/**
 * The `WWW-Authenticate` answer of a registry: where a token is to be had, and for what. Pure.
 * Source: distribution/distribution `docs/content/spec/auth/token.md`.
 */

/** The address of the token that a challenge asks for; undefined when it asks for something else. */
export function tokenAddress(challenge: string): URL | undefined {
  const parameters = new Map(
    [...challenge.matchAll(/([a-z]+)="([^"]*)"/gi)].map(([, key = '', value = '']) => [
      key.toLowerCase(),
      value,
    ]),
  );
  const realm = parameters.get('realm');
  if (!/^bearer /i.test(challenge) || realm === undefined || !URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  for (const key of ['service', 'scope']) {
    const value = parameters.get(key);
    if (value !== undefined) url.searchParams.set(key, value);
  }
  return url;
}
