/** A container with a granted socket speaks for the user who had it made, however deep it is. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustRun } from '../../src/engine/embedded/command.js';
import type { EngineVersion } from '../support/engines.js';
import { openWorld, type World } from './world.js';

const version: EngineVersion = '28.5';
let world: World;
let grant: string[];
beforeAll(async () => {
  const program = (await mustRun('sh', ['-c', 'readlink -f "$(command -v docker)"'])).trim();
  grant = ['-v', '/var/run/docker.sock:/var/run/docker.sock', '-v', `${program}:/bin/docker:ro`];
  world = await openWorld('cofferdam', version, {
    configurationFileVersion: 2,
    enhancedContainerIsolation: {
      value: true,
      dockerSocketMount: { imageList: { images: ['*'] } },
    },
  });
});
afterAll(() => world?.stop());

/** `docker run` in a container that holds the socket, and so on `depth` times. */
function nested(depth: number, ...argv: string[]): string[] {
  const run = ['run', '--rm', '--network', 'none'];
  const outer = Array.from({ length: depth }, () => [...run, ...grant, 'busybox', 'docker']).flat();
  return [...outer, ...run, ...argv];
}

test.each([1, 2])('with the rights of its user, %i deep', async (depth) => {
  const { victim: alice, mallory: bob } = world;
  await alice.shell('mkdir -p work && chmod 711 .');
  const name = `from-${depth}`;
  await alice.must(
    world.cli,
    ...nested(depth, '-v', `${alice.home}/work:/w`, 'busybox', 'touch', `/w/${name}`),
  );
  expect(statSync(join(alice.home, 'work', name))).toMatchObject({ uid: alice.uid, gid: alice.gid });
  await bob.shell('mkdir -p diary && chmod 711 . && chmod 700 diary && echo secret > diary/page');
  const spying = await world.as(
    alice,
    ...nested(depth, '-v', `${bob.home}/diary/page:/p`, 'busybox', 'cat', '/p'),
  );
  expect(spying.code).not.toBe(0);
  expect(spying.stderr).toContain(`uid ${alice.uid}`);
});

test('root’s container is not root', async () => {
  const { stderr, code } = await world.asRoot(
    ...nested(1, '-v', `${world.system}:/s`, 'busybox', 'cat', '/s/shadow'),
  );
  expect(code).not.toBe(0);
  expect(stderr).toContain('out of the caller');
});
