/**
 * Builds that no docker command would send, on real engines: raw operations, frontends and resolves of a client that
 * speaks to BuildKit itself. With a list on, the registry that isn't listed gets no connection at all; each refused
 * call is also made without a list, where it does connect.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inspected } from '../../src/registry/buildkit/methods.js';
import type { EngineOptions } from '../support/engines.js';
import { entries, message } from './buildkit/messages.js';
import { type RawAnswer, RawBuildkit } from './buildkit/raw-client.js';
import { GuardedEngine, restricted } from './guarded-engine.js';
import {
  convert,
  type Fields,
  image,
  policy,
  rawDoors,
  returning,
  solve,
  source,
  untilBegun,
} from './raw-doors.js';

const kinds: readonly (readonly [string, EngineOptions])[] = [
  ['28.5 overlay2', { version: '28.5', store: 'overlay2' }],
  ['28.5 containerd', { version: '28.5', store: 'containerd' }],
  ['26.1', { version: '26.1' }],
];

describe.each(kinds)('engine %s', (_title, options) => {
  let guarded: GuardedEngine;
  let client: RawBuildkit;

  beforeAll(async () => {
    guarded = await GuardedEngine.start(options);
  });
  afterAll(() => guarded?.close());
  beforeEach(async () => {
    client = await RawBuildkit.connect(guarded.proxy.socket);
  });
  afterEach(() => client.close());

  test.each(rawDoors)('%s', (_name, door) =>
    guarded.expectClosed(async ({ evil, good }) => {
      const { status, text } = await door(client, evil.address, good.address);
      return { code: status, text };
    }, restricted),
  );

  // Sources that no engine of today reads from a registry; the policy knows them not.
  test.each([
    'oci-layout://EVIL/team/base@sha256:DIGEST',
    'docker-image+blob://EVIL/team/base@sha256:DIGEST',
    'oci-layout+blob://EVIL/team/base@sha256:DIGEST',
    'DOCKER-IMAGE://EVIL/team/base:1',
    'docker-image://EVIL/team/base:1?x',
    'docker-image://GOOD/../EVIL/team/base:1',
    'docker-image://GOOD@EVIL/team/base:1',
    'docker-image://EVIL/team/base:1\nGOOD/team/base:1',
    'https://EVIL/v2/',
    'ssh://EVIL/team/repository',
    'git://GOOD/team/repository#EVIL',
  ])('%j leads nowhere', async (pattern) => {
    const { good, evil } = guarded;
    guarded.list();
    const identifier = pattern
      .replaceAll('EVIL', evil.address)
      .replaceAll('GOOD', good.address)
      .replaceAll('DIGEST', 'a'.repeat(64));
    let answer: RawAnswer | undefined;
    const contacts = await evil.during(async () => {
      answer = await source(() => identifier)(client, evil.address, good.address);
    });
    expect(contacts, answer?.text).toBe(0);
    expect(answer?.status).not.toBe('0');
  });

  describe('an image that is here, of a registry that is not listed', () => {
    const named = () => `${guarded.evil.address}/team/local:1`;
    const contactsOf = async (call: () => Promise<RawAnswer>) => {
      let answer: RawAnswer | undefined;
      const contacts = await guarded.evil.during(async () => {
        answer = await call();
      });
      return { contacts, answer };
    };

    beforeAll(async () => {
      await guarded.engine.cli.must('tag', 'busybox', named());
      guarded.list({ localImages: true });
    });

    test('is taken from the store', async () => {
      const { contacts, answer } = await contactsOf(() =>
        solve(client, [2, image(named(), { 'image.resolvemode': 'local' })]),
      );
      expect(answer).toMatchObject({ status: '0' });
      expect(contacts).toBe(0);
    });

    test('is refused by a digest that is not its own', async () => {
      const other = `${named()}@sha256:${'a'.repeat(64)}`;
      const { contacts, answer } = await contactsOf(() =>
        solve(client, [2, image(other, { 'image.resolvemode': 'local' })]),
      );
      expect(answer?.text).toContain('denied by policy');
      expect(contacts).toBe(0);
    });

    test.each(['pull', 'default', ''])('is refused with the resolve mode %j', async (mode) => {
      const attributes: Record<string, string> = mode === '' ? {} : { 'image.resolvemode': mode };
      const { contacts, answer } = await contactsOf(() => solve(client, [2, image(named(), attributes)]));
      expect(answer?.text).toContain('has been restricted by your administrators');
      expect(contacts).toBe(0);
    });

    test.each<[string, string, () => Fields]>([
      [
        'resolved by pulling',
        inspected.resolveImageConfig,
        () => [
          [1, named()],
          [3, 'pull'],
        ],
      ],
      [
        'resolved in the place of a listed one',
        inspected.resolveImageConfig,
        () => [
          [1, `${guarded.good.address}/team/base:1`],
          [8, policy(convert(`${guarded.good.address}/team/base:1`, named()))],
        ],
      ],
      ['as a frontend', inspected.bridgeSolve, () => [[2, 'gateway.v0'], ...entries(3, { source: named() })]],
      [
        'with --pull',
        inspected.bridgeSolve,
        () => [[2, 'dockerfile.v0'], ...entries(3, { 'image-resolve-mode': 'pull' })],
      ],
    ])('is refused %s, over another connection than its build’s too', async (_name, path, fields) => {
      const build = randomUUID();
      const begun = client.call(inspected.controlSolve, message([1, build]));
      const other = await RawBuildkit.connect(guarded.proxy.socket);
      for (const connection of [client, other]) {
        const { contacts, answer } = await contactsOf(() =>
          untilBegun(() => connection.call(path, message(...fields()), build)),
        );
        expect(answer?.status, answer?.text).toMatch(/^[37]$/);
        expect(contacts).toBe(0);
      }
      await client.call(returning, message([2, message([1, 1], [2, 'enough'])]), build);
      await begun;
      other.close();
    });
  });
});
