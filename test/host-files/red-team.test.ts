/**
 * A user with nothing but the socket against the host and its other users. The same attacks run against plain dockerd,
 * where every one succeeds: so none of them fails for a reason of its own.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineVersion } from '../support/engines.js';
import { attacks } from './attacks.js';
import { openWorld, type World } from './world.js';

const worlds: readonly [World['kind'], EngineVersion, boolean][] = [
  ['dockerd', '26.1', true],
  ['cofferdam', '26.1', false],
  ['cofferdam', '28.5', false],
  ['cofferdam', '20.10', false],
];

describe.each(worlds)('%s %s', (kind, version, succeeds) => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld(kind, version);
  });
  afterAll(() => world?.stop());

  test.each(attacks)('$name', async (attack) => {
    expect(await attack.run(world)).toBe(succeeds);
  });
});
