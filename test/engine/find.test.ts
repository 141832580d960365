import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { daemonFlags, enginePid, findEngine } from '../../src/engine/find.js';
import { type Engine, startEngine } from '../support/engines.js';

let engine: Engine;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-find-'));
  engine = await startEngine({ version: '26.1', network: true });
});
afterAll(async () => {
  await engine.stop();
  rmSync(folder, { recursive: true });
});

describe('finding the engine', () => {
  test('the named one is taken without a question', async () => {
    const flags = { engine: 'unix:///nowhere/docker.sock', listen: [] };
    expect(await findEngine(flags, {})).toEqual({ socket: '/nowhere/docker.sock' });
  });

  test('DOCKER_HOST counts where an engine answers', async () => {
    const DOCKER_HOST = `unix://${engine.socket}`;
    expect(await findEngine({ listen: ['unix:///x.sock'] }, { DOCKER_HOST })).toEqual({
      socket: engine.socket,
    });
  });

  test('cofferdam never finds itself, by no other name either', async () => {
    const link = join(folder, 'link.sock');
    symlinkSync(engine.socket, link);
    const found = await findEngine(
      { listen: [`unix://${engine.socket}`] },
      { DOCKER_HOST: `unix://${link}` },
    );
    expect(found?.socket).not.toBe(link);
  });

  test('a socket without an engine and another transport are passed over', async () => {
    for (const DOCKER_HOST of [`unix://${folder}/none.sock`, 'tcp://127.0.0.1:2375', 'ssh://host']) {
      expect((await findEngine({ listen: [] }, { DOCKER_HOST }))?.socket).not.toBe(DOCKER_HOST.slice(7));
    }
  });

  test('its process is found, in another network namespace too', () => {
    expect(enginePid(engine.socket)).toBe(engine.pid);
    expect(enginePid(join(folder, 'none.sock'))).toBeUndefined();
  });
});

test('the command line of dockerd tells its configuration file and what conflicts', () => {
  expect(daemonFlags(['dockerd'])).toEqual({ configFile: '/etc/docker/daemon.json', conflicting: [] });
  expect(daemonFlags(['dockerd', '--config-file', '/a', '-D'])).toEqual({
    configFile: '/a',
    conflicting: [],
  });
  expect(daemonFlags(['dockerd', '--config-file=/a=b', '--add-runtime', 'x=y'])).toEqual({
    configFile: '/a=b',
    conflicting: ['--add-runtime'],
  });
});
