/**
 * Query strings as dockerd reads them: Go's `url.ParseQuery` with keys told apart by case. What it would refuse is
 * refused, and what two parsers could read differently is refused as well: repeated keys where the engine takes the
 * first one, `;` as a separator, unknown keys. Must never lose or invent a value.
 */
import type { RequestProblem } from './problem.js';
import type { Route } from './routes.js';

/** Query parameters, decoded, in the order of their first appearance; each has at least one value. */
export type Query = ReadonlyMap<string, readonly string[]>;

function badQuery(name: string, reason: string, remedy: string): RequestProblem {
  return { status: 400, field: `query:${name}`, reason, remedy };
}

/** Decodes one key or value: `+` is a space. `undefined` when malformed, not UTF-8, or with a NUL in it. */
function decodeComponent(text: string): string | undefined {
  if (!text.includes('%') && !text.includes('+')) return text;
  try {
    const decoded = decodeURIComponent(text.replaceAll('+', ' '));
    return decoded.includes('\0') ? undefined : decoded;
  } catch {
    return undefined;
  }
}

/**
 * Parses the query of a request for a route. Everything wrong is reported at once.
 * @param text what follows the target's first `?`, percent-encoded
 * @param bodyFields names of the body's top-level fields: clients that put their whole request into the query as well
 *   (dockerode) are let off, because no engine reads body fields from there
 */
export function parseQuery(
  route: Route,
  text: string,
  bodyFields?: ReadonlySet<string>,
): { readonly query: Query } | { readonly problems: readonly RequestProblem[] } {
  const query = new Map<string, string[]>();
  const problems: RequestProblem[] = [];
  for (const part of text === '' ? [] : text.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = decodeComponent(equals === -1 ? part : part.slice(0, equals));
    const value = equals === -1 ? '' : decodeComponent(part.slice(equals + 1));
    const problem = judgeParameter(route, query, part, name, value, bodyFields);
    if (problem !== undefined) problems.push(problem);
    else if (name !== undefined && value !== undefined && route.query.includes(name)) {
      const values = query.get(name);
      if (values === undefined) query.set(name, [value]);
      else values.push(value);
    }
  }
  return problems.length > 0 ? { problems } : { query };
}

function judgeParameter(
  route: Route,
  query: Query,
  part: string,
  name: string | undefined,
  value: string | undefined,
  bodyFields: ReadonlySet<string> | undefined,
): RequestProblem | undefined {
  if (part.includes(';')) {
    return badQuery(
      name ?? '',
      'the query has a `;`, which is no separator',
      'Write %3B for a `;` in a value.',
    );
  }
  if (name === undefined || value === undefined) {
    return badQuery(name ?? '', 'the query is not well-formed percent-encoded UTF-8', 'Percent-encode it.');
  }
  if (route.query.includes(name)) {
    if (!query.has(name) || route.repeatable?.includes(name) === true) return undefined;
    return badQuery(
      name,
      `the query parameter ${JSON.stringify(name)} is given more than once`,
      'Give it once.',
    );
  }
  if (route.ignoredQuery?.includes(name) === true || bodyFields?.has(name) === true) return undefined;
  const meant = route.query.find((known) => known.toLowerCase() === name.toLowerCase());
  return badQuery(
    name,
    `${route.method} ${route.path} has no query parameter ${JSON.stringify(name)}`,
    meant === undefined ? 'Leave it out.' : `It is spelt ${JSON.stringify(meant)}.`,
  );
}

/** The query string that the engine gets: sorted by nothing, encoded in one way, `''` when there is none. */
export function stringifyQuery(query: Query): string {
  const parts: string[] = [];
  for (const [name, values] of query) {
    for (const value of values) parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  }
  return parts.join('&');
}
