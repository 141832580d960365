/**
 * A user with nothing but the socket against the host and its other users. The same attacks run against plain dockerd,
 * where every one succeeds: so none of them fails for a reason of its own. With COFFERDAM_RED_TEAM_TABLE=1 what was
 * seen is printed as a table.
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

/** By attack and world: whether it succeeded. */
const seen = new Map<string, Map<string, boolean>>();

function table(): string {
  const names = worlds.map(([kind, version]) => `${kind} ${version}`);
  const cell = (attack: string, world: string) => {
    const succeeded = seen.get(attack)?.get(world);
    return succeeded === undefined ? '-' : succeeded ? 'succeeds' : 'fails';
  };
  const rows = [...seen.keys()].map((attack) => [attack, ...names.map((world) => cell(attack, world))]);
  return [['attack', ...names], ['---', ...names.map(() => '---')], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

afterAll(() => {
  if (process.env['COFFERDAM_RED_TEAM_TABLE'] === '1') process.stdout.write(`${table()}\n`);
});

describe.each(worlds)('%s %s', (kind, version, succeeds) => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld(kind, version);
  });
  afterAll(() => world?.stop());

  test.each(attacks)('$name', async (attack) => {
    const succeeded = await attack.run(world);
    const row = seen.get(attack.name) ?? new Map<string, boolean>();
    seen.set(attack.name, row.set(`${kind} ${version}`, succeeded));
    expect(succeeded).toBe(succeeds);
  });
});
