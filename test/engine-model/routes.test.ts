import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  apiVersionProblem,
  canonicalPath,
  compareApiVersions,
  findRoute,
  parseVersionedPath,
  routes,
} from '../../src/engine/routes.js';

/** The route's name and parameters for a request target, or the problem's status and reason. */
function routed(method: string, target: string): string {
  const split = parseVersionedPath(target);
  if ('problem' in split) return `${split.problem.status} ${split.problem.text ?? split.problem.reason}`;
  const found = findRoute(method, split.path);
  if ('problem' in found) return `${found.problem.status} ${found.problem.text ?? found.problem.reason}`;
  return [found.route.name, ...Object.values(found.params)].join(' ');
}

describe('the table', () => {
  test('names and pairs of method and path are unique', () => {
    expect(new Set(routes.map((route) => route.name)).size).toBe(routes.length);
    expect(new Set(routes.map((route) => `${route.method} ${route.path}`)).size).toBe(routes.length);
  });

  test('every row finds itself, bare and with each form of name', () => {
    for (const route of routes) {
      for (const name of [
        'web',
        'a.b_c-d',
        '0123456789ab',
        ...(route.slashes === true ? ['a/b/c:1@sha256:ff'] : []),
      ]) {
        const path = route.path.replace(/\{\w+\}/g, name);
        expect(routed(route.method, path).split(' ')[0], `${route.method} ${path}`).toBe(route.name);
        expect(routed(route.method, `/v1.44${path}`).split(' ')[0]).toBe(route.name);
      }
    }
  });

  test('lists that may repeat, and ignored parameters, fit the query', () => {
    for (const route of routes) {
      for (const name of route.repeatable ?? []) expect(route.query).toContain(name);
      for (const name of route.ignoredQuery ?? []) expect(route.query).not.toContain(name);
    }
  });
});

describe('paths that dockerd routes in one way', () => {
  test.each([
    ['GET', '/_ping', 'system.ping'],
    ['HEAD', '/_ping', 'system.ping-head'],
    ['GET', '/v1.47/networks/', 'network.list'],
    ['GET', '/networks', 'network.list'],
    ['GET', '/debug/pprof/', 'debug.pprof-index'],
    ['GET', '/debug/pprof/heap', 'debug.pprof heap'],
    ['POST', '/v1.47/containers/create?name=x', 'container.create'],
    ['POST', '/v1.47/containers/create/x/start', 'container.start create/x'],
    ['GET', '/v1.47/containers/version/export', 'container.export version'],
    ['GET', '/containers/a/attach/ws', 'container.attach-websocket a'],
    ['GET', '/containers/json/json', 'container.inspect json'],
    ['DELETE', '/containers/web/checkpoints/one', 'checkpoint.delete web one'],
    ['DELETE', '/containers/web/alias', 'container.delete web/alias'],
    ['GET', '/images/library/busybox:latest/json', 'image.inspect library/busybox:latest'],
    [
      'GET',
      '/images/registry.example:5000/a/b@sha256:00/json',
      'image.inspect registry.example:5000/a/b@sha256:00',
    ],
    ['GET', '/images/testcontainers%2Fryuk%3A0.5.1/json', 'image.inspect testcontainers/ryuk:0.5.1'],
    ['DELETE', '/images/a%2fb', 'image.delete a/b'],
    ['GET', '/images/get', 'image.save-many'],
    ['GET', '/images/get/get', 'image.save get'],
    ['GET', '/volumes/create', 'volume.inspect create'],
    ['GET', '/volumes/a%20b', 'volume.inspect a b'],
    ['GET', '/services/x/logs', 'service.logs x'],
    ['GET', '/plugins/privileges', 'plugin.privileges'],
    ['GET', '/plugins/vieux/sshfs:latest/json', 'plugin.inspect vieux/sshfs:latest'],
  ])('%s %s', (method, target, expected) => {
    expect(routed(method, target)).toBe(expected);
  });
});

describe('paths that are refused', () => {
  test.each([
    ['path-001', 'POST', '//v1.47//containers//create', '400 the path has an empty segment'],
    ['path-002', 'POST', '/v1.47/containers%2Fcreate', '400 the path is percent-encoded where the endpoint'],
    ['path-002b', 'POST', '/v1.47%2Fcontainers/create', '404 page not found'],
    ['path-003', 'POST', '/v1.47/%63ontainers/create', '400 the path is percent-encoded where the endpoint'],
    ['path-003b', 'POST', '/%76%31.47/containers/create', '404 page not found'],
    ['path-003c', 'GET', '/containers/web/jso%6e', '400 the path is percent-encoded where the endpoint'],
    [
      'path-003d',
      'DELETE',
      '/containers/web/%63heckpoints/x',
      '400 the path is percent-encoded where the endpoint',
    ],
    [
      'path-003e',
      'DELETE',
      '/containers/web%2fcheckpoints%2fx',
      '400 the path is percent-encoded where the endpoint',
    ],
    ['path-003f', 'GET', '/images/x%2fjson', '400 the path is percent-encoded where the endpoint'],
    ['path-004', 'POST', '/v1.47/images/../containers/create', '400 the path has a dot segment'],
    ['path-005', 'POST', '/v1.47/images/%2e%2e/containers/create', '400 the path has a dot segment'],
    ['path-005b', 'POST', '/images/r%2F..%2F..%2Fevil.io%2Fx/push', '400 the path has a dot segment'],
    ['path-005c', 'GET', '/containers/./json', '400 the path has a dot segment'],
    ['path-009', 'POST', '/v1.47/v1.47/containers/create', '404 page not found'],
    ['path-010', 'POST', '/v1.47./containers/create', '400 v1.47. is not an API version'],
    ['path-011', 'POST', '/v1..47/containers/create', '400 v1..47 is not an API version'],
    ['path-012', 'POST', '/v001.047/containers/create', '400 v001.047 is not an API version'],
    ['path-013', 'POST', '/v1.47.0.0/containers/create', '400 v1.47.0.0 is not an API version'],
    ['path-014', 'POST', '/v./containers/create', '400 v. is not an API version'],
    ['path-015', 'POST', '/V1.47/containers/create', '404 page not found'],
    ['path-016', 'POST', '/v1.47/containers/create%00', '400 the path has a control character'],
    ['path-017', 'POST', '/v1.47\\containers\\create', '400 the path has a backslash'],
    ['path-017b', 'GET', '/images/a%5Cb/json', '400 the path has a backslash'],
    ['path-018', 'POST', '/v1.47/containers/create/', '400 the path has an empty segment'],
    ['path-019', 'POST', '/v1.47/containers/create;x=1', '404 page not found'],
    [
      'http-017',
      'POST',
      'http://x/v1.47/containers/create',
      '400 the request target is not an absolute path',
    ],
    ['http-019', 'post', '/v1.47/containers/create', '404 page not found'],
    ['fragment', 'GET', '/info#x', '400 the request target has a character that must be percent-encoded'],
    ['space', 'GET', '/in fo', '400 the request target has a character that must be percent-encoded'],
    [
      'latin-1',
      'GET',
      '/volumes/\u00e9',
      '400 the request target has a character that must be percent-encoded',
    ],
    ['utf-8', 'GET', '/volumes/%ff', '400 the path has a malformed percent-encoding'],
    ['overlong', 'GET', '/volumes/%c0%af', '400 the path has a malformed percent-encoding'],
    ['percent', 'GET', '/volumes/%zz', '400 the path has a malformed percent-encoding'],
    ['newline', 'GET', '/volumes/a%0d%0ab', '400 the path has a control character'],
    ['empty name', 'GET', '/containers//json', '400 the path has an empty segment'],
    ['options', 'OPTIONS', '/containers/json', '404 page not found'],
    ['connect', 'CONNECT', '/containers/json', '404 page not found'],
    ['podman', 'GET', '/v4.0.0/libpod/info', '400 v4.0.0 is not an API version'],
    ['podman ping', 'GET', '/libpod/_ping', '404 page not found'],
    ['root', 'GET', '/', '404 page not found'],
    ['version alone', 'GET', '/v1.44', '404 page not found'],
    ['head', 'HEAD', '/info', '404 page not found'],
    ['old copy', 'POST', '/containers/x/copy', '404 page not found'],
  ])('%s: %s %s', (_id, method, target, expected) => {
    expect(routed(method, target)).toMatch(new RegExp(`^${expected.replace(/[.?]/g, '\\$&')}`));
  });
});

describe('API versions', () => {
  test('are ordered by number', () => {
    expect(compareApiVersions('1.9', '1.24')).toBeLessThan(0);
    expect(compareApiVersions('1.47', '1.47')).toBe(0);
    expect(compareApiVersions('2.0', '1.99')).toBeGreaterThan(0);
  });

  test('outside of what the engine offers get dockerd’s own texts', () => {
    expect(apiVersionProblem('1.24', '1.41', '1.12')).toBeUndefined();
    expect(apiVersionProblem('1.41', '1.41')).toBeUndefined();
    expect(apiVersionProblem('1.99', '1.45')?.text).toBe(
      'client version 1.99 is too new. Maximum supported API version is 1.45',
    );
    expect(apiVersionProblem('1.23', '1.41', '1.12')?.text).toMatch(
      /^client version 1\.23 is too old\. Minimum .* is 1\.24,/,
    );
    expect(apiVersionProblem('1.40', '1.52', '1.44')?.text).toMatch(
      /^client version 1\.40 is too old\. Minimum .* is 1\.44,/,
    );
  });
});

describe('the canonical path', () => {
  test('leads back to the same route and parameters, in one spelling', () => {
    const name = fc
      .array(
        fc.constantFrom(
          'a',
          'Z',
          '0',
          '.x',
          '_',
          '-',
          ':',
          '@',
          '%',
          '+',
          ' ',
          'é',
          '😀',
          '?',
          '&',
          ';',
          '#',
          '"',
          '/b',
        ),
        {
          minLength: 1,
          maxLength: 8,
        },
      )
      .map((parts) => `n${parts.join('')}`);
    const spelt = fc.constantFrom(
      (text: string) => text.split('/').map(encodeURIComponent).join('/'),
      encodeURIComponent,
      (text: string) =>
        [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
    );
    fc.assert(
      fc.property(fc.constantFrom(...routes), name, spelt, (route, text, spell) => {
        fc.pre(route.slashes === true && !text.endsWith('/'));
        const found = findRoute(route.method, route.path.replace(/\{\w+\}/, spell(text)));
        if ('problem' in found) throw new Error(found.problem.reason);
        expect(found.route).toBe(route);
        expect(Object.values(found.params)).toEqual([text]);
        const canonical = canonicalPath(found, '1.44');
        const again = parseVersionedPath(canonical);
        if ('problem' in again) throw new Error(again.problem.reason);
        const refound = findRoute(route.method, again.path);
        if ('problem' in refound) throw new Error(refound.problem.reason);
        expect(refound.params).toEqual(found.params);
        expect(canonicalPath(refound, again.version)).toBe(canonical);
      }),
      { numRuns: 2000 },
    );
  });
});
