/**
 * The phase *route*: which endpoint a request names, and whether its body is of a kind that can be judged.
 * It must never let a request on whose path or body the engine could read in another way than we do.
 */
import type { RequestProblem } from '../engine/problem.js';
import {
  canonicalPath,
  findRoute,
  parseVersionedPath,
  type Route,
  type RouteMatch,
} from '../engine/routes.js';
import { ProxyError } from './errors.js';
import type { RequestHead } from './head.js';
import { TextMemory } from './text-memory.js';

/** A request whose endpoint is known. */
export interface RoutedRequest {
  readonly match: RouteMatch;
  readonly route: Route;
  /** API version of the path; absent for a bare path. */
  readonly version: string | undefined;
  /** Canonical path with version, without query. */
  readonly path: string;
  /** The query as sent, still percent-encoded. */
  readonly queryText: string;
}

/** A request that can't be judged as it is. Nothing of it reached the engine. */
export class RequestProblems extends Error {
  readonly problems: readonly RequestProblem[];

  constructor(problems: readonly RequestProblem[]) {
    super(problems.map(({ text, reason, remedy }) => text ?? `${reason}. ${remedy}`).join('\n'));
    this.problems = problems;
  }

  /** HTTP status of the answer. */
  get status(): number {
    return this.problems[0]?.status ?? 400;
  }
}

// Most requests of a client name one of few targets; what a target means never changes.
const known = new TextMemory<RoutedRequest>(128);

/**
 * @throws RequestProblems when there is no such endpoint or the path is ambiguous
 * @throws ProxyError 400 or 415 for a body that the engine could take parameters from
 */
export function routeRequest(head: RequestHead): RoutedRequest {
  const routed = findRouted(head);
  if (head.framing.kind !== 'none') refuseUnreadableBody(head, routed.route);
  return routed;
}

function findRouted({ method, target }: RequestHead): RoutedRequest {
  const key = `${method} ${target}`;
  const earlier = known.get(key);
  if (earlier !== undefined) return earlier;
  const parsed = parseVersionedPath(target);
  if ('problem' in parsed) throw new RequestProblems([parsed.problem]);
  const match = findRoute(method, parsed.path);
  if ('problem' in match) throw new RequestProblems([match.problem]);
  const routed: RoutedRequest = {
    match,
    route: match.route,
    version: parsed.version,
    path: canonicalPath(match, parsed.version),
    queryText: parsed.query,
  };
  known.keep(key, routed);
  return routed;
}

/**
 * dockerd's handlers call Go's ParseForm, which takes values from a form body before those of the query; FormValue
 * reads multipart bodies as well (net/http/request.go). So neither may come through, on any endpoint.
 */
const formContent = /^\s*(application\/x-www-form-urlencoded|multipart\/)/i;

function refuseUnreadableBody(head: RequestHead, route: Route): void {
  if (head.contentType !== undefined && formContent.test(head.contentType)) {
    throw new ProxyError(
      'COFFERDAM_UNSUPPORTED_BODY',
      `a request body of type ${head.contentType} is not accepted: send JSON (Content-Type: application/json)`,
      { status: 400 },
    );
  }
  const coded = head.contentEncoding !== undefined && head.contentEncoding.toLowerCase() !== 'identity';
  if (coded && route.body !== 'stream') {
    throw new ProxyError('COFFERDAM_UNSUPPORTED_BODY', 'this request body must not have a Content-Encoding');
  }
}
