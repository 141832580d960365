/** `docker load` of a large image: the way up through a real engine. */

import { once } from 'node:events';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Measure } from '../measure.js';
import { bigImage } from './docker-run.js';

export const loadImage: Measure = {
  name: 'load',
  title: 'POST /images/load of a 256 MiB image, real engine',
  unit: 'MB/s',
  better: 'higher',
  rounds: 5,
  async prepare(stage) {
    const name = await bigImage(stage);
    const { engine, targets } = await stage.real();
    const file = join(stage.folder, 'saved.tar');
    await pipeline(engine.cli.start(['save', name]).stdout, createWriteStream(file));
    const bytes = statSync(file).size;
    return targets.map((target) => ({
      name: target.name,
      async sample() {
        const socket = createConnection({ path: target.socket, allowHalfOpen: true });
        await once(socket, 'connect');
        let answer = '';
        socket.on('data', (chunk: Buffer) => {
          answer += chunk.toString('latin1');
        });
        const begin = performance.now();
        const ended = once(socket, 'end');
        socket.write(
          `POST /v1.44/images/load?quiet=1 HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/x-tar\r\nContent-Length: ${bytes}\r\n\r\n`,
        );
        for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
          if (!socket.write(chunk)) await once(socket, 'drain');
        }
        await ended;
        socket.destroy();
        if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`${target.name}: ${answer.slice(0, 200)}`);
        return { value: bytes / 1e6 / ((performance.now() - begin) / 1000) };
      },
    }));
  },
};
