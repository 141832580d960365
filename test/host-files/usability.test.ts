/** Everyday work with folders of a user's own, with real users: nothing about the commands is changed. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { HostUser } from './host-user.js';
import { openWorld, type World } from './world.js';

let world: World;
let alice: HostUser;
let users = 64_000;
beforeAll(async () => {
  world = await openWorld('cofferdam', '28.5');
});
afterAll(() => world?.stop());
beforeEach(() => {
  alice = new HostUser({ uid: ++users, homes: world.base });
});

const run = (flags: readonly string[], script: string): Promise<string> =>
  alice.must(world.cli, 'run', '--rm', '--network=none', ...flags, 'busybox', 'sh', '-c', script);

test('node_modules: what a container installs is run and removed on the host', async () => {
  await alice.shell('mkdir app && echo {} > app/package.json');
  const install =
    'mkdir -p node_modules/tool node_modules/.bin && cd node_modules && printf "#!/bin/sh\\necho ran\\n" > tool/cli && chmod 755 tool/cli && ln -s ../tool/cli .bin/tool';
  await run(['-v', `${alice.home}/app:/app`, '-w', '/app'], install);
  expect((await alice.shell('app/node_modules/.bin/tool')).stdout).toBe('ran\n');
  expect((await alice.shell('rm -r app/node_modules')).code).toBe(0);
});

test('a database’s folder: taken over by its user, private, and the same after an upgrade', async () => {
  await alice.shell('mkdir pgdata');
  const bind = ['-v', `${alice.home}/pgdata:/data`];
  // As the entry points of the official images do it: root prepares, and the server runs as its own user.
  const start = 'chown -R app:app /data && chmod 700 /data && su -s /bin/sh app -c';
  await run(bind, `${start} "umask 077; echo 15 > /data/PG_VERSION; mkdir /data/base"`);
  expect(statSync(join(alice.home, 'pgdata')).mode & 0o777).toBe(0o700);
  expect(await run(bind, `${start} "cat /data/PG_VERSION; stat -c %U:%a /data/PG_VERSION"`)).toBe(
    '15\napp:600',
  );
  expect(await run(['--user', '999', ...bind], 'echo 16 > /data/PG_VERSION && cat /data/PG_VERSION')).toBe(
    '16',
  );
  await run(['-v', `${alice.home}:/home`], 'rm -r /home/pgdata');
  expect(existsSync(join(alice.home, 'pgdata'))).toBe(false);
});

test('a CI runner’s builds and cache: a helper clones, a job builds as another user, the next one cleans up', async () => {
  const folders = ['-v', `${alice.home}/builds:/builds`, '-v', `${alice.home}/cache:/cache`];
  await run(
    folders,
    'mkdir -p /builds/group/project/.git && echo source > /builds/group/project/main.c && chmod -R a+rwX /builds/group',
  );
  const job = 'cd /builds/group/project && cp main.c main.o && echo cached > /tmp/archive && cat main.o';
  expect(await run(['--user', '999', ...folders], job)).toBe('source');
  await run(
    folders,
    'cp /builds/group/project/main.o /cache/main.o && rm -rf /builds/group && ls -A /builds',
  );
  expect(readFileSync(join(alice.home, 'cache/main.o'), 'utf8')).toBe('source\n');
  expect(statSync(join(alice.home, 'cache/main.o')).uid).toBe(alice.uid);
});

test('docker run --user $(id -u): build output in a work folder is the user’s, on both sides', async () => {
  await alice.shell('mkdir src && echo text > src/page');
  const self = ['--user', `${alice.uid}:${alice.gid}`, '-v', `${alice.home}/src:/src`, '-w', '/src'];
  expect(await run(self, 'mkdir -p out && cp page out/ && stat -c %u:%g out/page')).toBe(
    `${alice.uid}:${alice.gid}`,
  );
  expect((await alice.shell('echo more >> src/out/page')).code).toBe(0);
});

test('over ssh docker speaks as the user who logs in: dial-stdio carries that user’s rights', async () => {
  await world.victim.shell('mkdir -p own && chmod 700 .');
  const request = `GET /v1.41/_ping HTTP/1.1\\r\\nHost: docker\\r\\nConnection: close\\r\\n\\r\\n`;
  const { stdout } = await alice.shell(
    `printf '${request}' | DOCKER_HOST=unix://${world.cli.socket} docker system dial-stdio`,
  );
  expect(stdout).toContain('200 OK');
  const refused = await world.as(
    alice,
    'run',
    '--rm',
    '-v',
    `${world.victim.home}/own:/o`,
    'busybox',
    'true',
  );
  expect(refused.stderr).toContain(`uid ${alice.uid}`);
  expect(refused.stderr).toContain(world.victim.home);
});
