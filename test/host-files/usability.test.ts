/** Everyday work with folders of a user's own, with real users: nothing about the commands is changed. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/engine/embedded/command.js';
import { cliPlugins } from '../support/engine-releases.js';
import { HostUser } from './host-user.js';
import { openWorld, type World } from './world.js';

let world: World;
let alice: HostUser;
let users = 64_000;
const run = (flags: readonly string[], script: string): Promise<string> =>
  alice.must(world.cli, 'run', '--rm', '--network=none', ...flags, 'busybox', 'sh', '-c', script);

describe.each(['26.1', '28.5'] as const)('on engine %s', (version) => {
  beforeAll(async () => {
    world = await openWorld('cofferdam', version);
  });
  afterAll(() => world?.stop());
  beforeEach(() => {
    alice = new HostUser({ uid: ++users, homes: world.base });
  });

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

  test('docker compose: sources, a database’s folder and a cache; a second `up` finds everything as it asked for it', async () => {
    const program = join(await cliPlugins('0.13'), 'docker-compose');
    const services = {
      web: {
        ...{
          image: 'busybox',
          network_mode: 'none',
          stop_signal: 'SIGKILL',
          volumes: ['./src:/src', 'cache:/cache'],
        },
        command: ['sh', '-c', 'cp /src/page /src/built && touch /cache/kept && sleep 100000'],
      },
      db: {
        ...{ image: 'busybox', network_mode: 'none', stop_signal: 'SIGKILL', volumes: ['./pgdata:/data:rw'] },
        command: ['sh', '-c', 'chown 999:999 /data && chmod 700 /data && sleep 100000'],
      },
    };
    await alice.shell('mkdir -p shop/src && echo text > shop/src/page');
    const project = join(alice.home, 'shop/compose.yaml');
    writeFileSync(project, JSON.stringify({ services, volumes: { cache: {} } }));
    // The program lies where only the tests' own user may search; to the socket this is alice all the same.
    const searching = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
    const identity = [`--reuid=${alice.uid}`, `--regid=${alice.gid}`, '--clear-groups', ...searching];
    const env = { ...process.env, HOME: alice.home, DOCKER_HOST: `unix://${world.cli.socket}` };
    const compose = async (...argv: string[]): Promise<string> => {
      const command = [...identity, program, '--file', project, ...argv];
      const { code, stdout, stderr } = await runCommand('setpriv', command, { cwd: alice.home, env });
      expect(code, stderr).toBe(0);
      return stdout;
    };
    await compose('up', '--detach');
    const containers = await compose('ps', '--quiet');
    await compose('exec', '-T', 'web', 'sh', '-c', 'until [ -e /cache/kept ]; do sleep 0.1; done');
    await compose(
      'exec',
      '-T',
      'db',
      'sh',
      '-c',
      'until [ "$(stat -c %a /data)" = 700 ]; do sleep 0.1; done',
    );
    expect(statSync(join(alice.home, 'shop/src/built')).uid).toBe(alice.uid);
    const { mode, uid } = statSync(join(alice.home, 'shop/pgdata'));
    expect(mode & 0o777).toBe(0o700);
    expect(uid).toBeGreaterThan(100_000);
    await compose('up', '--detach');
    expect(await compose('ps', '--quiet')).toBe(containers);
    await compose('down', '--volumes');
  });

  test('over ssh docker speaks as the user who logs in', async () => {
    const folder = join(world.base, `ssh-${alice.uid}`);
    mkdirSync(folder);
    // What sshd does once the user has logged in: it runs the command as that user. All else is docker's own.
    const login = `setpriv --reuid=${alice.uid} --regid=${alice.gid} --clear-groups env HOME=${alice.home}`;
    const transport = `#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nexec ${login} DOCKER_HOST=unix://${world.cli.socket} sh -c "$*"\n`;
    writeFileSync(join(folder, 'ssh'), transport, { mode: 0o755 });
    const env = { DOCKER_HOST: 'ssh://alice@host', PATH: `${folder}:${process.env['PATH']}` };
    const remotely = (source: string, ...argv: string[]) => {
      const bind = ['-v', `${source}:/s`];
      return world.cli.run(['run', '--rm', '--network=none', ...bind, 'busybox', ...argv], { env });
    };
    await alice.shell('mkdir work');
    expect((await remotely(join(alice.home, 'work'), 'touch', '/s/new')).code).toBe(0);
    expect(statSync(join(alice.home, 'work/new')).uid).toBe(alice.uid);
    await world.victim.shell('mkdir -p own && chmod 700 .');
    const refused = await remotely(join(world.victim.home, 'own'), 'true');
    expect(refused.stderr).toContain(`uid ${alice.uid}`);
    expect(refused.stderr).toContain(world.victim.home);
  });
});
