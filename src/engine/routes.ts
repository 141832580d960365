/**
 * Which endpoint of the Engine API a request names. A request without a row here is refused, and a path is
 * understood in one way only: what dockerd would route elsewhere, redirect, or decode differently is a problem.
 * Docker facts only, no policy. Must never accept two spellings of one path, nor guess.
 */
import type { RequestProblem } from './problem.js';
import { routes } from './route-table.js';

export { routes };

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';

/**
 * How the request body is treated: none expected, JSON that rules read, or a stream that is passed on.
 * With `none` a client may still send a small body (dockerode does); the engine never reads it, so it isn't passed on.
 */
export type BodyKind = 'none' | 'json' | 'stream';

/**
 * What the engine may answer with.
 * `hijack`: 101, or 200 with a raw-stream content type, then raw bytes both ways. `h2c`: 101 to HTTP/2.
 */
export type AnswerKind = 'plain' | 'stream' | 'hijack' | 'websocket' | 'h2c';

/** What an endpoint's path parameter names. */
export type ObjectKind = 'container' | 'exec' | 'image' | 'volume' | 'network' | 'plugin' | 'swarm';

export interface Route {
  /** Stable name, noun and verb as in the API's operation: `container.create`, `image.pull`. */
  readonly name: string;
  readonly method: Method;
  /** Canonical path without version; `{id}` and `{name}` are the parameters. */
  readonly path: string;
  readonly body: BodyKind;
  readonly answer: AnswerKind;
  readonly object?: ObjectKind;
  /** API version that introduced the endpoint, and the last that had it. */
  readonly since: string;
  readonly until?: string;
  /** The query parameters that dockerd reads; others are refused by name. */
  readonly query: readonly string[];
  /** Query parameters that dockerd reads as a list, so that they may repeat. */
  readonly repeatable?: readonly string[];
  /** Query parameters that well-known clients send and no engine reads: left out of what the engine gets. */
  readonly ignoredQuery?: readonly string[];
  /** True where the engine lets the path parameter contain slashes (`{name:.*}`): names of images, links, plugins. */
  readonly slashes?: boolean;
}

/** A route together with its decoded path parameters. */
export interface RouteMatch {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/** The parts of a request target, before its route is known. */
export interface VersionedPath {
  /** `1.47`; absent for a bare path, which means the engine's newest. */
  readonly version?: string;
  /** The path without the version, still percent-encoded. */
  readonly path: string;
  /** What follows the first `?`, still percent-encoded; empty without one. */
  readonly query: string;
}

/** dockerd's own answer to a path or method that it doesn't serve. */
const pageNotFound: RequestProblem = {
  status: 404,
  field: 'path',
  reason: 'the Docker Engine API has no such endpoint',
  remedy: 'Check the path, the method and the API version.',
  text: 'page not found',
};

function badPath(
  reason: string,
  remedy = 'Send the path as the Engine API documents it.',
): {
  problem: RequestProblem;
} {
  return { problem: { status: 400, field: 'path', reason, remedy } };
}

/**
 * Splits a request target (RFC 9112 origin-form) into version, path and query. dockerd matches versions by
 * `v[0-9.]+` and reads `v1.44.`, `v01.44` and `v1.44.0.0` all as 1.44; here only `v1.44` is one.
 */
export function parseVersionedPath(target: string): VersionedPath | { problem: RequestProblem } {
  if (target.charCodeAt(0) !== 0x2f) {
    return badPath('the request target is not an absolute path', 'Send a target that begins with a slash.');
  }
  const question = target.indexOf('?');
  const whole = question === -1 ? target : target.slice(0, question);
  const query = question === -1 ? '' : target.slice(question + 1);
  if (!/^[\x21-\x7e]*$/.test(target) || target.includes('#')) {
    return badPath(
      'the request target has a character that must be percent-encoded',
      'Percent-encode everything but printable ASCII, and `#`.',
    );
  }
  if (whole.includes('\\')) return badPath('the path has a backslash');
  const versioned = /^\/v([0-9.]+)(?=\/|$)/.exec(whole);
  if (versioned === null) return { path: whole, query };
  const version = versioned[1] ?? '';
  if (!/^[1-9]\d{0,2}\.(0|[1-9]\d{0,2})$/.test(version)) {
    return badPath(`v${version} is not an API version`, 'Write the version as in /v1.44/.');
  }
  const path = whole.slice(versioned[0].length);
  return path === '' ? { problem: pageNotFound } : { version, path, query };
}

/**
 * Whether the engine serves an API version: `undefined`, or dockerd's own refusal (moby
 * `daemon/server/middleware/version.go`).
 * @param newest the engine's `ApiVersion`
 * @param oldest the engine's `MinAPIVersion`; never below 1.24 here
 */
export function apiVersionProblem(
  version: string,
  newest: string,
  oldest = '1.24',
): RequestProblem | undefined {
  const lowest = compareApiVersions(oldest, '1.24') < 0 ? '1.24' : oldest;
  const tooOld = compareApiVersions(version, lowest) < 0;
  if (!tooOld && compareApiVersions(version, newest) <= 0) return undefined;
  const text = tooOld
    ? `client version ${version} is too old. Minimum supported API version is ${lowest}, please upgrade your client to a newer version`
    : `client version ${version} is too new. Maximum supported API version is ${newest}`;
  return {
    status: 400,
    field: 'path',
    reason: text,
    remedy: `Use an API version from ${lowest} to ${newest}.`,
    text,
  };
}

/** Orders two API versions such as `1.9` and `1.47`: negative, zero or positive. */
export function compareApiVersions(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number);
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number);
  return leftMajor - rightMajor || leftMinor - rightMinor;
}

/** A route that can be compared with a path's segments. */
interface Shape {
  readonly route: Route;
  readonly segments: readonly string[];
  /** The parameter that may contain slashes: its name, and how many segments follow it. */
  readonly open?: { readonly name: string; readonly at: number; readonly behind: number };
}

/** The routes of a method: exact paths, and shapes with parameters by their first segment. */
interface MethodIndex {
  readonly exact: ReadonlyMap<string, RouteMatch>;
  readonly shapes: ReadonlyMap<string, readonly Shape[]>;
}

const parameter = /^\{(\w+)\}$/;

function shapeOf(route: Route): Shape {
  const segments = route.path.split('/').slice(1);
  const at = route.slashes === true ? segments.findIndex((segment) => parameter.test(segment)) : -1;
  const name = parameter.exec(segments[at] ?? '')?.[1];
  if (name === undefined) return { route, segments };
  return { route, segments, open: { name, at, behind: segments.length - at - 1 } };
}

function indexRoutes(): ReadonlyMap<string, MethodIndex> {
  const index = new Map<string, { exact: Map<string, RouteMatch>; shapes: Map<string, Shape[]> }>();
  for (const route of routes) {
    const entry = index.get(route.method) ?? { exact: new Map(), shapes: new Map() };
    index.set(route.method, entry);
    if (!route.path.includes('{')) {
      entry.exact.set(route.path, { route, params: {} });
      continue;
    }
    const shape = shapeOf(route);
    const family = shape.segments[0] ?? '';
    const shapes = entry.shapes.get(family) ?? [];
    shapes.push(shape);
    // dockerd takes the first row that fits. The order here has the same effect: closed shapes first, then the one
    // with the most literals behind the open parameter.
    shapes.sort((left: Shape, right: Shape) => (right.open?.behind ?? 9) - (left.open?.behind ?? 9));
    entry.shapes.set(family, shapes);
  }
  const list = index.get('GET')?.exact.get('/networks');
  // dockerd has this one path twice, with and without the slash.
  if (list !== undefined) index.get('GET')?.exact.set('/networks/', list);
  return index;
}

const methodIndexes = indexRoutes();

/** Compares a path's segments with a shape; literals must be spelt as in the table. */
function matchShape(shape: Shape, pieces: readonly string[]): Record<string, string> | undefined {
  const { segments, open } = shape;
  const extra = pieces.length - segments.length;
  if (extra < 0 || (extra > 0 && open === undefined)) return undefined;
  const params: Record<string, string> = {};
  for (const [at, segment] of segments.entries()) {
    const position = open !== undefined && at > open.at ? at + extra : at;
    const piece = pieces[position];
    if (piece === undefined) return undefined;
    const name = parameterNames.get(segment);
    if (name === undefined) {
      if (piece !== segment) return undefined;
    } else if (open !== undefined && at === open.at) {
      params[name] = extra === 0 ? piece : pieces.slice(at, at + extra + 1).join('/');
    } else {
      params[name] = piece;
    }
  }
  return params;
}

const parameterNames: ReadonlyMap<string, string> = new Map(
  ['id', 'name', 'checkpoint'].map((name) => [`{${name}}`, name]),
);

function matchPieces(index: MethodIndex, pieces: readonly string[]): RouteMatch | undefined {
  for (const shape of index.shapes.get(pieces[0] ?? '') ?? []) {
    const params = matchShape(shape, pieces);
    if (params !== undefined) return { route: shape.route, params };
  }
  return undefined;
}

/**
 * Finds the row for a method and a path without version, as `parseVersionedPath` returns it.
 * dockerd decodes the path before it routes; so a percent-encoded path is accepted only when the route and its
 * parameters are the same whether one splits it before or after decoding. `%2F` in an image's name passes that way
 * (docker-java sends it), `/containers%2Fcreate` and `/%63ontainers/create` don't.
 */
export function findRoute(method: string, path: string): RouteMatch | { problem: RequestProblem } {
  const index = methodIndexes.get(method);
  if (index === undefined) return { problem: pageNotFound };
  const exact = index.exact.get(path);
  if (exact !== undefined) return exact;
  if (path === '/') return { problem: pageNotFound };
  const pieces = path.split('/');
  pieces.shift();
  if (!path.includes('%')) {
    return uncleanPath(pieces) ?? matchPieces(index, pieces) ?? { problem: pageNotFound };
  }
  return findEncoded(index, path, pieces);
}

function uncleanPath(pieces: readonly string[]): { problem: RequestProblem } | undefined {
  for (const piece of pieces) {
    if (piece === '') return badPath('the path has an empty segment');
    if (piece === '.' || piece === '..') return badPath('the path has a dot segment');
  }
  return undefined;
}

function findEncoded(
  index: MethodIndex,
  path: string,
  pieces: readonly string[],
): RouteMatch | { problem: RequestProblem } {
  const decoded = decodePercent(path);
  if (decoded === undefined) return badPath('the path has a malformed percent-encoding');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x1f\x7f]/.test(decoded)) return badPath('the path has a control character');
  if (decoded.includes('\\')) return badPath('the path has a backslash');
  const decodedPieces = decoded.split('/').slice(1);
  const unclean = uncleanPath(decodedPieces);
  if (unclean !== undefined) return unclean;
  const routed = index.exact.get(decoded) ?? matchPieces(index, decodedPieces);
  if (routed === undefined) return { problem: pageNotFound };
  const literal = matchPieces(index, pieces);
  if (literal?.route !== routed.route || !sameParams(literal.params, routed.params)) {
    return badPath(
      'the path is percent-encoded where the endpoint itself is named',
      'Percent-encode only within names.',
    );
  }
  return routed;
}

function sameParams(encoded: RouteMatch['params'], decoded: RouteMatch['params']): boolean {
  return Object.entries(decoded).every(([name, value]) => decodePercent(encoded[name] ?? '') === value);
}

/** Decodes percent-encoded UTF-8; `undefined` when it isn't well-formed. */
export function decodePercent(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * The one path that the engine gets for a match: the version as given, names percent-encoded where needed, slashes
 * in names plain, as Docker's own client sends them.
 */
export function canonicalPath(match: RouteMatch, version: string | undefined): string {
  const path = match.route.path.replace(/\{(\w+)\}/g, (_whole, name: string) =>
    encodeName(match.params[name] ?? ''),
  );
  return version === undefined ? path : `/v${version}${path}`;
}

function encodeName(name: string): string {
  if (/^[\w.:@/-]*$/.test(name)) return name;
  return encodeURIComponent(name).replace(/%(2F|3A|40)/g, decodeURIComponent);
}
