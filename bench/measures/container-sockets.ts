/** The Docker socket inside containers: as fast as the main one, and cheap to keep. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';
import { mustRun } from '../../src/engine/embedded/command.js';
import { ratio, value } from '../goals.js';
import type { Measure } from '../measure.js';
import { residentKibibytes } from '../process-cost.js';
import { KeepAlive } from '../raw-http.js';
import { changeSettings, type RealStage, type Stage } from '../stage.js';
import { percentile } from '../statistics.js';

const ping = 'GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n';
const grant = ['-v', '/var/run/docker.sock:/var/run/docker.sock'] as const;

/** Every image may have the socket, until the function that is returned was called. */
function grantToAll({ cofferdam }: RealStage): Promise<() => Promise<void>> {
  return changeSettings(cofferdam, {
    enhancedContainerIsolation: { value: true, dockerSocketMount: { imageList: { images: ['*'] } } },
  });
}

/** Starts a container that holds the socket; gives its id and the user that its root is on the host. */
async function holder({ cofferdam }: RealStage): Promise<{ id: string; user: number }> {
  const { cli } = cofferdam;
  const id = await cli.must('run', '-d', '--network', 'none', ...grant, 'busybox', 'sleep', '100000');
  const pid = await cli.must('inspect', '--format', '{{.State.Pid}}', id);
  const user = Number(readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/)[1]);
  return { id, user };
}

/** The containers' socket, where its folder's mode doesn't keep anybody out; unmounted with the stage. */
async function reachable(stage: Stage): Promise<string> {
  const { cofferdam } = await stage.real();
  const path = join(stage.folder, 'container.sock');
  if (existsSync(path)) return path;
  writeFileSync(path, '');
  await mustRun('mount', ['--bind', join(cofferdam.stateDir, 'sockets/docker.sock'), path]);
  stage.onClose(() => mustRun('umount', [path]));
  return path;
}

const setFileSystemUser = koffi.load(null).func('int setfsuid(unsigned int user)');

/**
 * Connects as a container's root: the kernel notes the effective user at that moment, and Node connects at once. The
 * container's mount shows the socket as its root's own; here it is the host's root's, and opened as such (setfsuid(2)).
 */
function connectAs(user: number, path: string): Promise<KeepAlive> {
  process.seteuid?.(user);
  setFileSystemUser(0);
  try {
    return KeepAlive.open(path, ping);
  } finally {
    process.seteuid?.(0);
  }
}

export const containerSocket: Measure = {
  name: 'socket-ping',
  title: 'GET /_ping on one connection, on the main socket and on a container’s',
  unit: 'µs',
  better: 'lower',
  rounds: 9,
  goals: [
    {
      what: 'a container’s socket against the main one',
      figure: ratio('container', 'main'),
      unit: '×',
      side: 'at most',
      // As fast, within what two runs of the same differ by.
      must: 1.05,
    },
  ],
  async prepare(stage) {
    const real = await stage.real();
    const restore = await grantToAll(real);
    const { id, user } = await holder(real);
    const socket = await reachable(stage);
    const sample = async (open: () => Promise<KeepAlive>) => {
      const connection = await open();
      const times: number[] = [];
      for (let count = 0; count < 2_000; count += 1) {
        const begin = performance.now();
        await connection.ask();
        times.push((performance.now() - begin) * 1000);
      }
      connection.close();
      return { value: percentile(times, 0.5), also: { 'p99 (µs)': percentile(times, 0.99) } };
    };
    return [
      { name: 'main', sample: () => sample(() => KeepAlive.open(real.cofferdam.socket, ping)) },
      {
        name: 'container',
        sample: () => sample(() => connectAs(user, socket)),
        async close() {
          await real.engine.cli.must('rm', '--force', id);
          await restore();
        },
      },
    ];
  },
};

const holders = 25;

export const containerSocketMemory: Measure = {
  name: 'socket-memory',
  title: `resident memory of the daemon for each of ${holders} containers with a connection to their Docker socket`,
  unit: 'KiB',
  better: 'lower',
  rounds: 1,
  goals: [{ what: 'a container', figure: value('cofferdam'), unit: 'KiB', side: 'at most', must: 1024 }],
  async prepare(stage) {
    const real = await stage.real();
    const restore = await grantToAll(real);
    const socket = await reachable(stage);
    const daemon = [real.cofferdam.pid ?? 0];
    const before = residentKibibytes(daemon);
    const made: string[] = [];
    const open: KeepAlive[] = [];
    for (let count = 0; count < holders; count += 1) {
      const { id, user } = await holder(real);
      made.push(id);
      const connection = await connectAs(user, socket);
      await connection.ask();
      open.push(connection);
    }
    await sleep(3_000);
    const each = (residentKibibytes(daemon) - before) / holders;
    return [
      {
        name: 'cofferdam',
        sample: async () => ({ value: each }),
        async close() {
          for (const connection of open) connection.close();
          await real.engine.cli.must('rm', '--force', ...made);
          await restore();
        },
      },
    ];
  },
};
