/**
 * The source policy says of every image what the list says: the rules as BuildKit evaluates them (sourcepolicy/engine.go)
 * against the judge of the other doors.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sourcePolicy } from '../../../src/registry/buildkit/source-policy.js';
import { WireMessage } from '../../../src/registry/buildkit/wire.js';
import { judgeRegistry } from '../../../src/registry/policy.js';
import { formatReference, parseReference, ReferenceProblem } from '../../../src/registry/reference.js';
import { settingsSchema } from '../../../src/settings/schema.js';

/** A pattern of Go's that ECMAScript of today reads: the one flag that it has there is taken out of its group. */
function goPattern(pattern: string): RegExp {
  const open = pattern.indexOf('(?i:');
  if (open === -1) return new RegExp(pattern);
  let depth = 0;
  let close = open;
  do {
    if (pattern[close] === '\\') close += 1;
    else if (pattern[close] === '(') depth += 1;
    else if (pattern[close] === ')') depth -= 1;
    close += 1;
  } while (depth > 0);
  const folded = pattern
    .slice(open + 4, close - 1)
    .replace(/\\.|\[[^\]]*\]|[a-z]/g, (part) =>
      part.startsWith('[')
        ? part.replace('a-z', 'a-zA-Z')
        : /^[a-z]$/.test(part)
          ? `[${part}${part.toUpperCase()}]`
          : part,
    );
  return new RegExp(`${pattern.slice(0, open)}(?:${folded})${pattern.slice(close)}`);
}

/** Whether the policy lets BuildKit fetch a source without attributes. */
function allows(policy: Uint8Array, identifier: string): boolean {
  let allowed = true;
  for (const rule of WireMessage.parse(policy).messages(2)) {
    const pattern = rule.message(2)?.text(1) ?? '';
    if (goPattern(pattern).test(identifier)) allowed = rule.number(1) === 0;
  }
  return allowed;
}

const settings = (registries: readonly object[], more: object = {}) =>
  settingsSchema.parse({ registryAccess: { value: true, registries, localImages: false }, ...more });

const lists = {
  exact: settings([{ address: 'good.example' }, { address: '10.0.0.1:5000' }, { address: '[::1]:5000' }]),
  wildcards: settings([{ address: '*:5000' }, { address: '*.corp.example' }, { address: '*.0.0.1' }]),
  'a wildcard of hosts of Docker Hub': settings([{ address: '*.docker.io' }, { address: '*.example' }]),
  'a wildcard and one address': settings([{ address: '*' }, { address: '10.0.0.1' }]),
  repositories: settings([
    { address: 'docker.io', repositories: ['alpine', 'acme/**'] },
    { address: 'good.example', repositories: ['team/*'], allow: ['pull'] },
    { address: '*.corp.example', allow: ['push'] },
  ]),
  'images of Docker Hub': settings([{ address: '*' }], {
    imageAccess: {
      value: true,
      allow: ['officialImages', 'organizations:acme', 'repositories:docker.io/a/b'],
    },
  }),
  'images of Docker Hub alone': settingsSchema.parse({
    imageAccess: { value: true, allow: ['officialImages'] },
  }),
};

const host = fc.constantFrom(
  ...['', 'good.example/', 'GOOD.example/', 'good.example:5000/', 'a.corp.example/', 'a.b.corp.example/'],
  ...['corp.example/', 'a.corp.example.evil.io/', 'docker.io/', 'index.docker.io/', 'registry-1.docker.io/'],
  ...['10.0.0.1/', '10.0.0.1:5000/', '127.0.0.1/', '127.0.0.1:5000/', '[::1]:5000/', '[::2]:5000/', '[::1]/'],
  ...['localhost/', 'localhost:5000/', '0:5000/', '0x7f.0.0.1/', '1.0.0.1/', 'evil.io/', 'evil.io:5000/'],
);
const path = fc.constantFrom(
  'alpine',
  'acme/x',
  'acme/x/y',
  'a/b',
  'team/x',
  'team/x/y',
  'library/alpine',
  'x',
);
const end = fc.constantFrom('', ':1', ':1.0-x', `@sha256:${'ab'.repeat(32)}`, `:1@sha256:${'ab'.repeat(32)}`);

describe.each(Object.entries(lists))('a list of %s', (_title, listed) => {
  test('means the same to a build as to a pull', () => {
    const policy = sourcePolicy(listed, []);
    fc.assert(
      fc.property(host, path, end, (domain, name, suffix) => {
        let reference: ReturnType<typeof parseReference>;
        try {
          reference = parseReference(`${domain}${name}${suffix}`);
        } catch (error) {
          if (error instanceof ReferenceProblem) return;
          throw error;
        }
        const identifier = `docker-image://${formatReference(reference)}`;
        const pulled = judgeRegistry(reference, 'pull', listed) === undefined;
        expect(allows(policy, identifier), identifier).toBe(pulled);
      }),
      { numRuns: 3000 },
    );
  });
});

test.each([
  'docker-image://good.example/../evil.io/x',
  'docker-image://good.example/x?y',
  'docker-image://good.example/x\nevil.io/x',
  'docker-image://good.example@evil.io/x',
  'docker-image://good.example./x',
  'docker-image://good.example:/x',
  'docker-image://[::1]:5000.evil.io/x',
  'Docker-Image://good.example/x',
  'docker-image+blob://good.example/x',
  ' docker-image://good.example/x',
  'oci://good.example/x',
  'https://good.example/x',
  'git://good.example/x',
  '',
])('%j is denied', (identifier) => {
  expect(allows(sourcePolicy(lists.exact, []), identifier)).toBe(false);
});
