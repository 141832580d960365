/**
 * What the engine really asks for a reference equals our normal form: for generated texts, on loopback registries that
 * write down what they are asked.
 */
import { request } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { normaliseAddress } from '../../src/registry/address.js';
import { parsePullReference, type Reference, ReferenceProblem } from '../../src/registry/reference.js';
import { type Engine, startEngine } from '../support/engines.js';
import { AskedRegistry } from './registries.js';

let registries: readonly AskedRegistry[];

beforeAll(async () => {
  registries = [
    await AskedRegistry.start('127.0.0.1'),
    await AskedRegistry.start('127.0.0.1'),
    await AskedRegistry.start('::1'),
  ];
});

afterAll(async () => {
  for (const registry of registries ?? []) await registry.close();
});

function pull(engine: Engine, fromImage: string, tag: string): Promise<{ status: number; text: string }> {
  const query = new URLSearchParams({ fromImage, tag });
  return new Promise((resolve, reject) => {
    const call = request(
      { socketPath: engine.socket, method: 'POST', path: `/images/create?${query}` },
      (answer) => {
        let text = '';
        answer.on('data', (piece: Buffer) => {
          text += piece.toString();
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
    call.on('error', reject);
    call.end();
  });
}

function parse(fromImage: string, tag: string): Reference | undefined {
  try {
    return parsePullReference(fromImage, tag);
  } catch (error) {
    if (error instanceof ReferenceProblem) return undefined;
    throw error;
  }
}

const digest = `sha256:${'ab'.repeat(32)}`;

function texts(): fc.Arbitrary<readonly [string, string]> {
  const [one, two, six] = registries.map(({ address }) => address);
  const port = one?.split(':').at(-1) ?? '';
  const plain = fc.constantFrom(one ?? '', two ?? '', six ?? '', `localhost:${port}`);
  const odd = fc.constantFrom(
    `LOCALHOST:${port}`,
    `127.0.0.1.:${port}`,
    `0:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    `[0:0:0:0:0:0:0:1]:${six?.split(':').at(-1)}`,
    `user@${one}`,
    `http://${one}`,
    `${one}/..`,
    `${one}/`,
    `${one} `,
  );
  const domain = fc.oneof({ weight: 3, arbitrary: plain }, odd);
  const character = fc.constantFrom(
    'a',
    'b',
    '0',
    '.',
    '_',
    '-',
    '/',
    'A',
    '%',
    ':',
    '@',
    '?',
    '#',
    '\\',
    'é',
    '\n',
    ' ',
  );
  const piece = fc.oneof(
    { weight: 6, arbitrary: fc.stringMatching(/^[a-z0-9]{1,5}$/) },
    fc.constantFrom('..', '.', '_', '__', '-', '--', 'A'),
    fc.string({ unit: character, maxLength: 4 }),
  );
  const path = fc.array(piece, { minLength: 1, maxLength: 3 }).map((pieces) => pieces.join('/'));
  const end = fc.constantFrom(
    '',
    '',
    ':1',
    ':',
    ':latest',
    `@${digest}`,
    `:1@${digest}`,
    '@sha256:ab',
    ':-x',
  );
  const tag = fc.constantFrom('', '', '1', 'v1.0_x', digest, 'sha256:ab', 'A/B', '../x', 'a b', 'é');
  return fc
    .tuple(domain, path, end, tag)
    .map(([host, name, suffix, given]) => [`${host}/${name}${suffix}`, given] as const);
}

test.each(['28.5', '26.1', '20.10'] as const)(
  'engine %s asks what the normal form says',
  { timeout: 600_000 },
  async (version) => {
    const engine = await startEngine({ version, configuration: { 'insecure-registries': ['::1/128'] } });
    try {
      await compare(engine);
    } finally {
      await engine.stop();
    }
  },
);

async function compare(engine: Engine): Promise<void> {
  let asked = 0;
  let refused = 0;
  const check = async ([fromImage, tag]: readonly [string, string]) => {
    for (const registry of registries) registry.take();
    const ours = parse(fromImage, tag);
    const answer = await pull(engine, fromImage, tag);
    const paths = registries.map((registry) => registry.take());
    if (ours === undefined) {
      refused += 1;
      expect(answer.status, `${fromImage} ${tag}: ${answer.text}`).toBe(400);
      expect(paths.flat()).toEqual([]);
      return;
    }
    // Older engines know no IPv6 and no upper-case hosts: they refuse what newer ones take.
    if (engine.version === '20.10' && answer.status === 400) {
      expect(paths.flat()).toEqual([]);
      return;
    }
    expect(answer.status, `${fromImage} ${tag}: ${answer.text}`).not.toBe(400);
    // Without tag and digest the API means every tag.
    const version = ours.digest ?? ours.tag;
    const path =
      version === undefined ? `/v2/${ours.path}/tags/list` : `/v2/${ours.path}/manifests/${version}`;
    // The engine speaks plain HTTP with localhost; to `0` it doesn't, so that nothing is written down there.
    const address = normaliseAddress(ours.domain)?.replace(/^localhost:/, '127.0.0.1:');
    for (const [index, registry] of registries.entries()) {
      const expected = registry.address === address ? [path] : [];
      expect([...new Set(paths[index])], `${fromImage} ${tag}`).toEqual(expected);
      if (expected.length > 0) asked += 1;
    }
  };
  await fc.assert(fc.asyncProperty(texts(), check), { numRuns: 3000 });
  expect(asked).toBeGreaterThan(300);
  expect(refused).toBeGreaterThan(500);
}
