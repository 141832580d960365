/** Whoever doesn't read stops the other side, and nothing piles up in between. */
import { describe, expect, it } from 'vitest';
import type { EngineSide } from './scripted-engine.js';
import { client, engine, start } from './scripted-proxy.js';

const block = Buffer.alloc(1 << 16, 'x');
/** What kernel buffers and the proxy's own may hold, each way. */
const slack = 4 << 20;

/** Writes until the other side takes no more for a while: how many bytes that were. */
async function fill(write: (bytes: Buffer) => boolean, drained: () => Promise<boolean>): Promise<number> {
  let written = 0;
  for (;;) {
    written += block.length;
    if (!write(block) && !(await drained())) return written;
    if (written > 64 << 20) return written;
  }
}

function drainOf(socket: EngineSide['socket']): () => Promise<boolean> {
  return () =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), 300);
      socket.once('drain', () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
}

const requests = [
  [
    'an answer',
    'GET /v1.45/images/get?names=busybox HTTP/1.1\r\nHost: docker\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n',
  ],
  [
    'a raw stream',
    'POST /v1.45/containers/web/attach?stream=1 HTTP/1.1\r\nHost: docker\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n',
  ],
] as const;

describe.each(requests)('a client that doesn’t read %s', (_name, request, answer) => {
  it('stops the engine, and gets everything once it reads again', async () => {
    let written = 0;
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(answer);
      written = await fill((bytes) => side.socket.write(bytes), drainOf(side.socket));
    });
    client.socket.pause();
    client.send(request);
    await expect.poll(() => written, { timeout: 5000 }).toBeGreaterThan(0);
    expect(written).toBeLessThan(slack);
    client.socket.resume();
    await client.until(({ size }) => size === answer.length + written);
  });
});

describe('an engine that doesn’t read', () => {
  it.each([
    ['a body', 'POST /v1.45/images/load HTTP/1.1\r\nHost: docker\r\nContent-Length: 99999999999\r\n\r\n', ''],
    [
      'a raw stream',
      'POST /v1.45/containers/web/attach?stdin=1 HTTP/1.1\r\nHost: docker\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n',
    ],
  ])('%s stops the client, and gets everything once it reads again', async (_name, request, answer) => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.pause();
      side.socket.write(answer);
    });
    client.send(request);
    if (answer !== '') await client.untilText('\r\n\r\n');
    else await expect.poll(() => engine.connections.length).toBe(1);
    const written = await fill((bytes) => client.socket.write(bytes), drainOf(client.socket));
    expect(written).toBeLessThan(slack);
    const [side] = engine.connections;
    side?.socket.resume();
    await side?.until(({ size }) => size > written);
  });
});

describe('a client that sends requests and never reads answers', () => {
  it('isn’t answered without a limit', async () => {
    let answered = 0;
    await start(async (side) => {
      for (let count = 1; ; count++) {
        await side.until(({ text, closed }) => closed || text.split('\r\n\r\n').length > count);
        if (side.closed) return;
        answered++;
        side.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${block.length}\r\n\r\n`);
        side.socket.write(block);
      }
    });
    client.socket.pause();
    client.send('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n'.repeat(1000));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(answered * block.length).toBeLessThan(slack);
    client.socket.resume();
    await client.until(({ size }) => size > 1000 * block.length);
    expect(answered).toBe(1000);
  });
});
