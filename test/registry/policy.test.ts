import { describe, expect, test } from 'vitest';
import { addressMatches, normaliseAddress } from '../../src/registry/address.js';
import { repositoryPattern, urlPattern, wholeText } from '../../src/registry/glob.js';
import { judgeHost, judgeRegistry, judgeUrl } from '../../src/registry/policy.js';
import { parseReference } from '../../src/registry/reference.js';
import { settingsSchema } from '../../src/settings/schema.js';

describe('the normal form of an address', () => {
  test.each([
    ['docker.io', 'docker.io'],
    ['INDEX.docker.io', 'docker.io'],
    ['registry-1.docker.io.', 'docker.io'],
    ['docker.io:443', 'docker.io:443'],
    ['Registry.Example.COM.', 'registry.example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.example:5000', 'xn--bcher-kva.example:5000'],
    ['[0:0:0:0:0:0:0:1]:5000', '[::1]:5000'],
    ['[2001:DB8::A]', '[2001:db8::a]'],
    ['*.corp.example:5000', '*.corp.example:5000'],
    ['127.0.0.1', '127.0.0.1'],
  ])('%s', (text, expected) => {
    expect(normaliseAddress(text)).toBe(expected);
  });

  test.each([
    '',
    'a/b',
    'user@host',
    'host:',
    'host:port',
    'https://host',
    'a..b',
    '[::1',
    'a b',
    'reg*.example',
  ])('%j is none', (text) => {
    expect(normaliseAddress(text)).toBeUndefined();
  });
});

test.each([
  ['*.corp.example', 'a.corp.example', true],
  ['*.corp.example', 'a.b.corp.example', true],
  ['*.corp.example', 'corp.example', false],
  ['*.corp.example', 'a.corp.example.evil.io', false],
  ['*.corp.example', 'a.corp.example:5000', false],
  ['*', 'registry.example', true],
  ['*', '127.0.0.1', false],
  ['*', '[::1]', false],
  ['*.0.0.1', '127.0.0.1', false],
  ['registry.*.example', 'registry.eu.west.example', true],
  ['registry.example', 'registryxexample', false],
])('the entry %s and the address %s', (pattern, address, expected) => {
  expect(addressMatches(pattern, address)).toBe(expected);
});

test.each([
  ['library/*', 'library/alpine', true],
  ['library/*', 'library/alpine/x', false],
  ['acme/**', 'acme/a', true],
  ['acme/**', 'acme/a/b/c', true],
  ['acme/**', 'acme', false],
  ['acme/**', 'acmeevil/a', false],
  ['**', 'a/b', true],
  ['**/tool', 'tool', true],
  ['**/tool', 'a/b/tool', true],
  ['**/tool', 'a/b/toolx', false],
  ['acme/app-*', 'acme/app-web', true],
  ['acme/{web,api}', 'acme/api', true],
  ['acme/{web,api}', 'acme/apis', false],
  ['acme/{web', 'acme/web', false],
  ['a.b/c', 'axb/c', false],
])('the repository glob %s and %s', (glob, path, expected) => {
  expect(wholeText(repositoryPattern(glob)).test(path)).toBe(expected);
});

test.each([
  ['https://github.com/**', 'https://github.com/acme/x.git', true],
  ['https://github.com/**', 'https://github.com/', true],
  ['https://github.com/**', 'http://github.com/acme/x', false],
  ['https://github.com/**', 'https://github.com.evil.io/x', false],
  ['https://github.com/**', 'https://github.com/a/../../x', false],
  ['https://github.com/acme/**', 'https://github.com/acme/../evil/x', false],
  ['https://github.com/acme/**', 'https://github.com/acme/%2e%2e/evil', false],
  ['https://github.com/acme/**', 'https://github.com/acme/x?y=z', false],
  ['https://github.com/acme/**', 'https://github.com/acme/x#main', false],
  ['https://*.example/x', 'https://a.example/x', true],
  ['https://*.example/x', 'https://user@evil.io/a.example/x', false],
  ['github.com/**', 'https://github.com/x', false],
])('the address glob %s and %s', (glob, url, expected) => {
  expect(wholeText(urlPattern(glob)).test(url)).toBe(expected);
});

const listed = settingsSchema.parse({
  registryAccess: {
    value: true,
    registries: [
      { address: 'docker.io', repositories: ['alpine', 'acme/**'] },
      { address: 'bücher.example' },
      { address: 'pull.example', allow: ['pull'] },
      { address: 'pull.example', allow: ['push'], repositories: ['ci/*'] },
    ],
  },
});

describe('the list', () => {
  test.each([
    ['alpine', 'pull', true],
    ['busybox', 'pull', false],
    ['xn--bcher-kva.example/x', 'push', true],
    ['pull.example/x', 'pull', true],
    ['pull.example/x', 'push', false],
    ['pull.example/ci/x', 'push', true],
    ['docker.io:443/library/alpine', 'pull', false],
  ] as const)('%s: %s', (name, action, allowed) => {
    const refusal = judgeRegistry(parseReference(name), action, listed);
    expect(refusal === undefined).toBe(allowed);
  });

  test('says which host, and what to do', () => {
    expect(judgeRegistry(parseReference('evil.io/x'), 'pull', listed)?.text).toBe(
      'registry access to evil.io is not allowed: Access to evil.io has been restricted by your administrators. To access this registry, ask your administrators to add it to registryAccess.registries in the cofferdam settings.',
    );
  });

  test('a host without any entry may not be spoken to', () => {
    expect(judgeHost('evil.io', listed)?.setting).toBe('registryAccess.registries');
    expect(judgeHost('Index.Docker.IO', listed)).toBeUndefined();
    expect(judgeUrl('https://evil.io/x', listed)?.setting).toBe('registryAccess.urls');
  });

  test('10,000 entries cost less than a millisecond for each decision', () => {
    const registries = Array.from({ length: 10_000 }, (_, index) => ({
      address: `r${index}.example`,
      repositories: [`team${index}/**`],
    }));
    const many = settingsSchema.parse({ registryAccess: { value: true, registries } });
    const reference = parseReference('r9999.example/team9999/app');
    expect(judgeRegistry(reference, 'pull', many)).toBeUndefined();
    const before = process.cpuUsage();
    for (let count = 0; count < 1000; count += 1) judgeRegistry(reference, 'pull', many);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(1000);
  });
});
