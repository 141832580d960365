/** Large bodies up into a real engine: `docker load` and `docker cp` into a container, into its layers and into a bind. */
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { mustRun } from '../../src/engine/embedded/command.js';
import { type Goal, ratio } from '../goals.js';
import type { Measure, Sample } from '../measure.js';
import { transfer } from '../raw-http.js';
import { direct, type Target, us } from '../stage.js';
import { asDirect, bigArchive, bigContainer, bigImage, forBulk } from './real-bulk.js';

/** Sends a file from one buffer, as the docker CLI does: a new one for each piece costs more than what is measured. */
async function sendFile(socket: Socket, path: string): Promise<void> {
  const file = await open(path);
  try {
    for (;;) {
      const { bytesRead } = await file.read(sendBuffer, 0, sendBuffer.length);
      if (bytesRead === 0) return;
      await new Promise((written) => socket.write(sendBuffer.subarray(0, bytesRead), written));
    }
  } finally {
    await file.close();
  }
}

const sendBuffer = Buffer.alloc(256 * 1024);

/** MB/s of sending a file as the body of a request. */
async function upload(target: Target, requestLine: string, file: string): Promise<Sample> {
  const bytes = statSync(file).size;
  const socket = createConnection({ path: target.socket, allowHalfOpen: true });
  await once(socket, 'connect');
  let answer = '';
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  const begin = performance.now();
  const ended = once(socket, 'end');
  socket.write(
    `${requestLine} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/x-tar\r\nContent-Length: ${bytes}\r\n\r\n`,
  );
  await sendFile(socket, file);
  await ended;
  socket.destroy();
  if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`${target.name}: ${answer.slice(0, 200)}`);
  return { value: bytes / 1e6 / ((performance.now() - begin) / 1000) };
}

/** `docker load`. */
export const loadImage: Measure = {
  name: 'load',
  title: 'POST /images/load of a 1 GiB image, real engine',
  unit: 'MB/s',
  better: 'higher',
  rounds: 3,
  goals: [asDirect],
  async prepare(stage) {
    const name = await bigImage(stage);
    const { engine } = await stage.real();
    const file = join(stage.folder, 'saved.tar');
    await pipeline(engine.cli.start(['save', name]).stdout, createWriteStream(file));
    return (await forBulk(stage)).map((target) => ({
      name: target.name,
      sample: () => upload(target, 'POST /v1.44/images/load?quiet=1', file),
    }));
  },
};

/** `docker cp` into a container. */
export const copyIn: Measure = {
  name: 'archive-up',
  title: 'PUT /containers/X/archive of 1 GiB, real engine',
  unit: 'MB/s',
  better: 'higher',
  rounds: 3,
  goals: [asDirect],
  async prepare(stage) {
    const archive = await bigArchive(stage);
    const id = await bigContainer(stage);
    return (await forBulk(stage)).map((target) => ({
      name: target.name,
      sample: () => upload(target, `PUT /v1.44/containers/${id}/archive?path=/`, archive),
    }));
  },
};

const asDirectInBinds: Goal = {
  what: 'against direct',
  figure: ratio(us, direct),
  unit: '×',
  side: 'at least',
  must: 0.8,
};

/** `docker cp` through a bind mount: an archive that we unpack and pack inside the container's own mounts. */
function throughBind(name: string, title: string, way: 'up' | 'down'): Measure {
  return {
    name,
    title: `${title} through a bind mount, real engine`,
    unit: 'MB/s',
    better: 'higher',
    rounds: 3,
    goals: [asDirectInBinds],
    async prepare(stage) {
      const archive = await bigArchive(stage);
      const bytes = statSync(archive).size;
      const { engine, cofferdam } = await stage.real();
      const folder = mkdtempSync(join(tmpdir(), 'cofferdam-bench-copy-'));
      if (way === 'down') await mustRun('tar', ['-C', folder, '-xf', archive]);
      const id = await cofferdam.cli.must(
        ...['run', '-d', '--network', 'none', '-v', `${folder}:/bound`, 'busybox', 'sleep', '100000'],
      );
      const path = `/v1.44/containers/${id}/archive?path=/bound`;
      const both = await forBulk(stage);
      const [last] = both;
      return both.map((target) => ({
        name: target.name,
        async sample() {
          if (way === 'up') return upload(target, `PUT ${path}`, archive);
          const { milliseconds } = await transfer(
            target.socket,
            `GET ${path}/random HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n`,
          );
          return { value: bytes / 1e6 / (milliseconds / 1000) };
        },
        async close() {
          if (target !== last) return;
          await engine.cli.must('rm', '--force', id);
          rmSync(folder, { recursive: true, force: true });
        },
      }));
    },
  };
}

export const copyThroughBind = [
  throughBind('bind-archive-up', '1 GiB by `docker cp` into a container', 'up'),
  throughBind('bind-archive-down', '1 GiB by `docker cp` out of a container', 'down'),
];
