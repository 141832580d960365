/** The Docker socket inside containers: as fast as the main one, and cheap to keep. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';
import { z } from 'zod';
import { mustRun } from '../../src/engine/embedded/command.js';
import { requestOverSocket } from '../../src/system/unix-http.js';
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

const holders = 500;

const createdSchema = z.object({ Id: z.string() });
const rangeSchema = z.object({ range: z.object({ base: z.number() }) });

/** Makes a container that holds the socket, without starting it; gives its id and the user that its root is. */
async function createdHolder({ cofferdam }: RealStage): Promise<{ id: string; user: number }> {
  const answer = await requestOverSocket(cofferdam.socket, {
    ...{ method: 'POST', path: '/containers/create', contentType: 'application/json' },
    body: JSON.stringify({
      ...{ Image: 'busybox', Cmd: ['sleep', '100000'] },
      HostConfig: { NetworkMode: 'none', Binds: [grant[1]] },
    }),
  });
  const { Id } = createdSchema.parse(JSON.parse(answer.body.toString()));
  const record = readFileSync(join(cofferdam.stateDir, 'ledger/containers', Id), 'utf8');
  return { id: Id, user: rangeSchema.parse(JSON.parse(record)).range.base };
}

/**
 * What the daemon needs for containers that hold the socket. Their own processes are the engine's matter: the kernel
 * tells who connects by the user's id alone, so that the connections here are the containers' without one.
 */
export const containerSocketMemory: Measure = {
  name: 'socket-memory',
  title: `resident memory of the daemon for each of ${holders} containers that hold a Docker socket, and with an idle connection to it`,
  unit: 'KiB',
  better: 'lower',
  rounds: 1,
  goals: [
    { what: 'a container', figure: value('granted'), unit: 'KiB', side: 'at most', must: 1024 },
    { what: 'a container, connected', figure: value('connected'), unit: 'KiB', side: 'at most', must: 1024 },
  ],
  async prepare(stage) {
    const real = await stage.real();
    const restore = await grantToAll(real);
    const socket = await reachable(stage);
    const daemon = [real.cofferdam.pid ?? 0];
    // Until V8 has given back what the start needed.
    await sleep(20_000);
    const before = residentKibibytes(daemon);
    const each = async (): Promise<number> => {
      await sleep(10_000);
      return (residentKibibytes(daemon) - before) / holders;
    };
    const made: { id: string; user: number }[] = [];
    for (let count = 0; count < holders; count += 1) made.push(await createdHolder(real));
    const granted = await each();
    const open: KeepAlive[] = [];
    for (const { user } of made) {
      const connection = await connectAs(user, socket);
      await connection.ask();
      open.push(connection);
    }
    const connected = await each();
    return [
      { name: 'granted', sample: async () => ({ value: granted }) },
      {
        name: 'connected',
        sample: async () => ({ value: connected }),
        async close() {
          for (const connection of open) connection.close();
          await real.engine.cli.must('rm', '--force', ...made.map(({ id }) => id));
          await restore();
        },
      },
    ];
  },
};
