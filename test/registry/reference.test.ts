import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatReference,
  isDigest,
  parsePullReference,
  parsePushReference,
  parseReference,
  ReferenceProblem,
  withDefaultTag,
} from '../../src/registry/reference.js';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('the normal form of a reference', () => {
  test.each([
    ['alpine', 'docker.io/library/alpine'],
    ['alpine:3.20', 'docker.io/library/alpine:3.20'],
    ['acme/tool', 'docker.io/acme/tool'],
    ['acme/team/tool', 'docker.io/acme/team/tool'],
    ['docker.io/alpine', 'docker.io/library/alpine'],
    ['index.docker.io/alpine', 'docker.io/library/alpine'],
    ['index.docker.io/acme/tool', 'docker.io/acme/tool'],
    ['registry-1.docker.io/alpine', 'registry-1.docker.io/alpine'],
    ['localhost/x', 'localhost/x'],
    ['localhost:5000/x', 'localhost:5000/x'],
    ['localhosts/x', 'docker.io/localhosts/x'],
    ['host:5000/x', 'host:5000/x'],
    ['host/x', 'docker.io/host/x'],
    ['HOST/x', 'HOST/x'],
    ['Docker.io/x', 'Docker.io/x'],
    ['registry.example.com/a/b/c:tag', 'registry.example.com/a/b/c:tag'],
    ['127.0.0.1/x', '127.0.0.1/x'],
    ['127.0.0.1:5000/x', '127.0.0.1:5000/x'],
    ['[::1]/x', '[::1]/x'],
    ['[::1]:5000/x:1', '[::1]:5000/x:1'],
    ['[2001:DB8::1]:5000/x', '[2001:DB8::1]:5000/x'],
    ['xn--n3h.com/x', 'xn--n3h.com/x'],
    ['foo.-bar/x', undefined],
    ['a__b/c--d/e.f', 'docker.io/a__b/c--d/e.f'],
    [`alpine@${digest}`, `docker.io/library/alpine@${digest}`],
    [`alpine:3@${digest}`, `docker.io/library/alpine:3@${digest}`],
    ['registry.example.com:443/x', 'registry.example.com:443/x'],
  ])('%s', (text, expected) => {
    if (expected === undefined) expect(() => parseReference(text)).toThrow(ReferenceProblem);
    else expect(formatReference(parseReference(text))).toBe(expected);
  });

  test.each([
    '',
    ' alpine',
    'alpine ',
    'alpine\n',
    'Alpine',
    'acme/Tool',
    'HOST/Upper',
    'registry.example./x',
    '.registry.example/x',
    'registry..example/x',
    '-host.example/x',
    'host_name:5000/x',
    'https://registry.example/x',
    'registry.example//x',
    'registry.example/x/',
    'registry.example/../x',
    'registry.example/x/../y',
    'registry.example/%78',
    'user@registry.example/x',
    'régistry.example/x',
    'registry.example/x?y',
    'registry.example/x#y',
    'registry.example\\x',
    '[::1%25eth0]:5000/x',
    '[::ffff:127.0.0.1]/x',
    '::1/x',
    'host:port/x',
    'host:/x',
    'a'.repeat(64),
    'x:',
    'x:-tag',
    `x:${'t'.repeat(129)}`,
    'x@sha256:abc',
    `x@sha256:${'A'.repeat(64)}`,
    `x@sha512:${'a'.repeat(64)}`,
    `x@md5:${'a'.repeat(32)}`,
    'a._b',
    'a___b',
    '_a',
    'a-',
    `a/${'b'.repeat(256)}`,
    'x'.repeat(5000),
  ])('%j is none', (text) => {
    expect(() => parseReference(text)).toThrow(ReferenceProblem);
  });

  test('a path of 128 components that is short enough', () => {
    const path = Array.from({ length: 120 }, () => 'a').join('/');
    expect(parseReference(`host.example/${path}`).path).toBe(path);
    const long = Array.from({ length: 129 }, () => 'a').join('/');
    expect(() => parseReference(`host.example/${long}`)).toThrow('must not be more than 255 characters');
  });

  test('the words are the engine’s', () => {
    expect(() => parseReference('Alpine')).toThrow('repository name (library/Alpine) must be lowercase');
    expect(() => parseReference('a'.repeat(64))).toThrow('cannot specify 64-byte hexadecimal strings');
  });
});

describe('a pull', () => {
  test.each([
    ['alpine', '', 'docker.io/library/alpine'],
    ['alpine:', '', 'docker.io/library/alpine'],
    ['alpine', '3', 'docker.io/library/alpine:3'],
    ['alpine:2', '3', 'docker.io/library/alpine:3'],
    ['alpine:2', digest, `docker.io/library/alpine@${digest}`],
    [`alpine@${digest}`, '3', `docker.io/library/alpine:3@${digest}`],
  ])('%s with the tag %j', (name, tag, expected) => {
    expect(formatReference(parsePullReference(name, tag))).toBe(expected);
  });

  test.each(['sha256:abc', '../x', 'a/b', 'a b', 'é'])('a tag %j is none', (tag) => {
    expect(() => parsePullReference('alpine', tag)).toThrow(ReferenceProblem);
  });
});

test('a push takes a tag and no digest', () => {
  expect(formatReference(parsePushReference('host.example/x', '1'))).toBe('host.example/x:1');
  expect(formatReference(parsePushReference('host.example/x', ''))).toBe('host.example/x');
  expect(() => parsePushReference(`host.example/x@${digest}`, '1')).toThrow(ReferenceProblem);
});

test('the default tag is given to a bare name only', () => {
  expect(formatReference(withDefaultTag(parseReference('x')))).toBe('docker.io/library/x:latest');
  expect(formatReference(withDefaultTag(parseReference(`x@${digest}`)))).toBe(
    `docker.io/library/x@${digest}`,
  );
});

test('a digest is a known algorithm with the right number of lower-case digits', () => {
  expect(isDigest(digest)).toBe(true);
  expect(isDigest(digest.toUpperCase())).toBe(false);
  expect(isDigest('sha256:')).toBe(false);
  expect(isDigest('abc')).toBe(false);
});

test('the normal form of a normal form is itself', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,8})?$/);
  const domain = fc.constantFrom('', 'docker.io/', 'localhost:5000/', '[::1]:5000/', 'HOST/', 'a.b.example/');
  const tag = fc.constantFrom('', ':1', ':latest', `@${digest}`, `:x@${digest}`);
  fc.assert(
    fc.property(domain, fc.array(word, { minLength: 1, maxLength: 4 }), tag, (start, words, end) => {
      const first = formatReference(parseReference(`${start}${words.join('/')}${end}`));
      expect(formatReference(parseReference(first))).toBe(first);
    }),
  );
});

test('any text gives a reference or a ReferenceProblem, quickly', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', '-', '_', '.', ':', '/', '@', '[', ']', 'A', '0', ' '),
    maxLength: 300,
  });
  fc.assert(
    fc.property(text, (input) => {
      try {
        parseReference(input);
      } catch (error) {
        expect(error).toBeInstanceOf(ReferenceProblem);
      }
    }),
    { numRuns: 2000 },
  );
});
