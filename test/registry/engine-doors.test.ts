/**
 * The doors to a registry but BuildKit's, on real engines and registries: with a list on, a registry that isn't listed
 * gets no connection at all, and a listed one works. Each refused door is also tried without a list, where the same
 * command does connect: so a door that the test doesn't really try can't pass for a closed one.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineOptions } from '../support/engines.js';
import { classic, classicDoors, plainDoors } from './doors.js';
import { GuardedEngine, type Knocked, restricted } from './guarded-engine.js';

const kinds: readonly (readonly [string, EngineOptions])[] = [
  ['28.5 overlay2', { version: '28.5', store: 'overlay2' }],
  ['28.5 containerd', { version: '28.5', store: 'containerd', buildx: '0.29' }],
  ['26.1', { version: '26.1' }],
  ['20.10', { version: '20.10' }],
];

// What a remote context needs can't be known at all.
const refused = new RegExp(`${restricted.source}|can’t be known beforehand`, 'i');

describe.each(kinds)('engine %s', (_title, options) => {
  let guarded: GuardedEngine;

  beforeAll(async () => {
    guarded = await GuardedEngine.start(options);
  });
  afterAll(() => guarded?.close());

  test.each(plainDoors)('%s', (_name, door) => guarded.expectClosed(door, restricted));

  test.each(classicDoors)('classic builder: %s', (_name, door) => guarded.expectClosed(door, refused));

  test('classic builder: listed and local images work', async () => {
    const { engine, cli, evil } = guarded;
    guarded.list({ localImages: true });
    await cli.must('pull', guarded.filled('GOOD/team/base:1'));
    await engine.cli.must('tag', 'busybox', guarded.filled('EVIL/team/local:1'));
    const dockerfile =
      'FROM EVIL/team/local:1 AS local\nFROM GOOD/team/base:1\nCOPY --from=local /etc/passwd /copied\nCOPY file /file';
    const contacts = await evil.during(async () => {
      const { code, text } = await classic(dockerfile, '-t', 'classic')(guarded);
      expect(text).not.toContain('registry access');
      expect(code).toBe(0);
    });
    expect(contacts).toBe(0);
    await engine.cli.must('rmi', guarded.filled('EVIL/team/local:1'));
  });

  if (options.version === '20.10') {
    test('BuildKit of this engine can’t be held to a list', async () => {
      guarded.list();
      const folder = guarded.folder({ Dockerfile: 'FROM EVIL/team/base:1' });
      let knocked: Knocked | undefined;
      const contacts = await guarded.evil.during(async () => {
        knocked = await guarded.docker(['buildx', 'build', folder]);
      });
      expect(knocked?.text).toContain('older than 24.0');
      expect(contacts).toBe(0);
    });
  }
});
