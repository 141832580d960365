/** Binds on file systems of their own, each on a loop device: ids survive from one container to the next. */
import { chownSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustRun } from '../../src/engine/embedded/command.js';
import { openWorld, type World } from './world.js';

let world: World;
beforeAll(async () => {
  world = await openWorld('cofferdam', '26.1');
});
afterAll(() => world?.stop());

test.each([
  ['xfs', '320M', ['mkfs.xfs', '-q']],
  ['btrfs', '128M', ['mkfs.btrfs', '-q']],
] as const)('a folder on %s', async (type, size, [make, ...flags]) => {
  const { mallory: alice, cli } = world;
  const place = join(world.base, type);
  mkdirSync(place);
  await mustRun('truncate', [`--size=${size}`, `${place}.img`]);
  await mustRun(make, [...flags, `${place}.img`]);
  await mustRun('mount', ['-o', 'loop', `${place}.img`, place]);
  chownSync(place, alice.uid, alice.gid);
  const run = (script: string) =>
    alice.must(cli, 'run', '--rm', '--network=none', '-v', `${place}:/w`, 'busybox', 'sh', '-c', script);
  await run('touch /w/new && chown 999:999 /w/new && touch /w/own && chmod 4755 /w/own');
  expect(statSync(join(place, 'own'))).toMatchObject({ uid: alice.uid, gid: alice.gid });
  expect(await run('stat -c %u:%g /w/new /w/own')).toBe('999:999\n0:0');
});
