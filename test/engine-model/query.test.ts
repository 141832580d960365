import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseQuery, stringifyQuery } from '../../src/engine/query.js';
import { type Route, routes } from '../../src/engine/routes.js';

function routeNamed(name: string): Route {
  const route = routes.find((row) => row.name === name);
  if (route === undefined) throw new Error(`no route ${name}`);
  return route;
}

function canonical(name: string, text: string, bodyFields?: ReadonlySet<string>): string {
  const parsed = parseQuery(routeNamed(name), text, bodyFields);
  if ('query' in parsed) return stringifyQuery(parsed.query);
  return parsed.problems
    .map((problem) => `${problem.field}: ${problem.reason}. ${problem.remedy}`)
    .join('\n');
}

describe('what is accepted', () => {
  test.each([
    ['container.list', '', ''],
    ['container.list', 'all=1&limit=-1&trunc_cmd=0&', 'all=1&limit=-1'],
    ['container.list', 'filters={"name":["a+b"]}', 'filters=%7B%22name%22%3A%5B%22a%20b%22%5D%7D'],
    ['image.build', 't=a&t=b&q', 't=a&t=b&q='],
    ['image.save-many', 'names=a%2Fb:1&names=c', 'names=a%2Fb%3A1&names=c'],
    ['container.archive-get', 'path=/a%0Ab', 'path=%2Fa%0Ab'],
  ])('%s ?%s', (route, text, expected) => {
    expect(canonical(route, text)).toBe(expected);
  });

  test('fields of the body that dockerode repeats in the query are left out', () => {
    const query = 'name=web&Image=busybox&HostConfig=%7B%22Privileged%22%3Atrue%7D';
    expect(canonical('container.create', query, new Set(['Image', 'HostConfig']))).toBe('name=web');
  });
});

describe('what is refused', () => {
  test.each([
    [
      'path-022',
      'image.pull',
      'fromImage=registry.example/ok&fromImage=evil.io/x',
      /^query:fromImage: .*more than once/,
    ],
    [
      'path-024',
      'image.pull',
      'FROMIMAGE=evil.io/x&fromSrc=http://evil/x.tar',
      /"FROMIMAGE"\. It is spelt "fromImage"/,
    ],
    ['repeated alike', 'container.create', 'name=a&name=a', /more than once/],
    ['repeated by escape', 'container.create', 'name=a&n%61me=b', /more than once/],
    ['semicolon', 'container.create', 'name=a;platform=b', /no separator/],
    ['unknown', 'container.create', 'runtime=runc', /no query parameter "runtime"/],
    ['prototype', 'container.create', '__proto__=x', /no query parameter/],
    ['percent', 'container.create', 'name=%zz', /not well-formed/],
    ['utf-8', 'container.create', 'name=%ff', /not well-formed/],
    ['NUL', 'container.archive-get', 'path=/a%00b', /not well-formed/],
    ['on a bare endpoint', 'system.ping', 'x=1', /no query parameter/],
  ])('%s', (_id, route, text, expected) => {
    expect(canonical(route, text)).toMatch(expected);
  });

  test('everything wrong is told at once', () => {
    expect(canonical('container.create', 'a=1&b=2;&name=x&name=y').split('\n')).toHaveLength(3);
  });
});

test('values survive, as URLSearchParams reads them', () => {
  const text = fc
    .string({ unit: 'binary' })
    .filter((value) => !value.includes('\0') && !/\p{Surrogate}/u.test(value));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('t', 'extrahosts', 'securityopt'), text)), (pairs) => {
      const sent = new URLSearchParams(pairs).toString();
      const parsed = parseQuery(routeNamed('image.build'), sent);
      if (!('query' in parsed)) throw new Error('refused');
      for (const name of ['t', 'extrahosts', 'securityopt']) {
        expect(parsed.query.get(name) ?? []).toEqual(
          pairs.filter(([key]) => key === name).map(([, value]) => value),
        );
      }
      const again = parseQuery(routeNamed('image.build'), stringifyQuery(parsed.query));
      expect(again).toEqual(parsed);
    }),
  );
});
