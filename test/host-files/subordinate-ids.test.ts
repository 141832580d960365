/**
 * A user can be any of its subordinate ids on the host: what a container of its own makes setuid runs with one of them.
 * None of them is an account: otherwise each could take a block of ids for good, until there are none left.
 */
import { copyFileSync, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustRun } from '../../src/engine/embedded/command.js';
import { openWorld, type World } from './world.js';

let world: World;
beforeAll(async () => {
  world = await openWorld('cofferdam', '26.1');
});
afterAll(() => world?.stop());

test('a program of a subordinate id mounts nothing, and takes no block', async () => {
  const { mallory, cli, cofferdam } = world;
  if (!cofferdam) throw new Error('this world has no cofferdam');
  await mallory.shell('mkdir -m 777 work && chmod 711 .');
  const program = join(mallory.home, 'work/as-999');
  copyFileSync((await mustRun('sh', ['-c', 'readlink -f "$(command -v env)"'])).trim(), program);
  await mustRun('chown', [`${mallory.uid}:${mallory.gid}`, program]);
  const script = 'chown 999:0 /w/as-999 && chmod 4755 /w/as-999';
  const bind = `${mallory.home}/work:/w`;
  await mallory.must(cli, 'run', '--rm', '--network=none', '-v', bind, 'busybox', 'sh', '-c', script);
  const subordinate = statSync(program).uid;
  expect(await mallory.run(program, ['id', '-u'])).toMatchObject({ stdout: `${subordinate}\n` });
  const callers = () => readdirSync(join(cofferdam.stateDir, 'ledger/callers'));
  expect(callers()).toEqual([String(mallory.uid)]);
  for (const source of ['work', 'work/missing']) {
    const body = { Image: 'busybox', HostConfig: { Binds: [`${mallory.home}/${source}:/w`] } };
    const asked = await mallory.run(program, [
      ...['curl', '--silent', '--unix-socket', cli.socket, '-H', 'Content-Type: application/json'],
      ...['-d', JSON.stringify(body), 'http://docker/v1.41/containers/create'],
    ]);
    expect(asked.stdout).toContain(`uid ${subordinate}`);
    expect(asked.stdout).toContain('subordinate id');
  }
  expect(callers()).toEqual([String(mallory.uid)]);
  expect(existsSync(join(mallory.home, 'work/missing'))).toBe(false);
});
