/** A side that goes away takes the other along, at once; a side that only stops sending doesn't. */
import { describe, expect, it } from 'vitest';
import { messageOf, statusOf } from './raw-client.js';
import { answering, ok } from './scripted-engine.js';
import { client, engine, proxy, start } from './scripted-proxy.js';

const events = 'GET /v1.45/events HTTP/1.1\r\nHost: docker\r\n\r\n';
const streaming =
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n';

describe('a client that goes away', () => {
  it('in the middle of an endless answer ends the engine’s side', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(streaming);
    });
    await client.send(events).untilText('{}');
    client.close();
    await engine.connections[0]?.until(({ ended, closed }) => ended || closed);
    await expect.poll(() => proxy.records.length).toBe(1);
    expect(proxy.records[0]).toMatchObject({
      route: 'system.events',
      status: 200,
      error: 'COFFERDAM_CLIENT_GONE',
    });
  }, 1000);

  it('before the answer ends the engine’s side', async () => {
    await start(async (side) => side.untilText('\r\n\r\n'));
    client.send('POST /v1.45/containers/web/wait HTTP/1.1\r\nHost: docker\r\n\r\n');
    await expect.poll(() => engine.connections[0]?.text).toContain('/wait');
    client.close();
    await engine.connections[0]?.until(({ ended, closed }) => ended || closed);
  }, 1000);

  it('in the middle of a body it streams: the engine never sees the body’s end', async () => {
    await start(async (side) => side.untilText('\r\n\r\n'));
    client.send('POST /v1.45/images/load HTTP/1.1\r\nHost: docker\r\nContent-Length: 1000\r\n\r\nhalf');
    await expect.poll(() => engine.connections[0]?.text).toMatch(/half$/);
    client.close();
    await engine.connections[0]?.until(({ ended, closed }) => ended || closed);
    expect(engine.text).toMatch(/half$/);
  }, 1000);

  it('from a raw stream ends the engine’s side', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nhello');
    });
    await client
      .send('POST /v1.45/containers/web/attach?stream=1 HTTP/1.1\r\nHost: docker\r\n\r\n')
      .untilText('hello');
    client.close();
    await engine.connections[0]?.until(({ ended, closed }) => ended || closed);
  }, 1000);
});

describe('an engine that goes away', () => {
  it('before its answer: 502 in Docker’s JSON', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.destroy();
    });
    await client.send('POST /v1.45/containers/web/start HTTP/1.1\r\nHost: docker\r\n\r\n').untilText('}\n');
    expect(statusOf(client.text)).toBe(502);
    expect(messageOf(client.text)).toContain('engine');
  }, 1000);

  it('in the middle of an answer breaks the client’s connection off', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(streaming);
      setTimeout(() => side.socket.destroy(), 20);
    });
    expect(await client.send(events).untilEnd()).toBe(streaming);
  }, 1000);

  it('from a raw stream ends the client’s side', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nhello');
      setTimeout(() => side.socket.destroy(), 20);
    });
    client.send('POST /v1.45/containers/web/attach?stream=1 HTTP/1.1\r\nHost: docker\r\n\r\n');
    expect(await client.untilEnd()).toMatch(/hello$/);
  }, 1000);
});

describe('proxy dies when dockerd restarts', () => {
  it('never: requests get 502 while it is away, and work again afterwards', async () => {
    await start(answering(ok()));
    const ping = 'GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n';
    await client.send(ping).untilText('OK');
    await engine.halt();
    client.forget();
    await client.send(ping).untilText('}\n');
    expect(statusOf(client.text)).toBe(502);
    expect(messageOf(client.text)).toContain("can't be reached");
    await engine.start();
    client.forget();
    await client.send(ping).untilText('OK');
    expect(statusOf(client.text)).toBe(200);
  });

  it('a kept connection that the engine closes just then costs a reader nothing', async () => {
    let requests = 0;
    await start(async (side) => {
      for (let count = 1; ; count++) {
        await side.until(({ text, closed }) => closed || text.split('\r\n\r\n').length > count);
        if (side.closed) return;
        requests++;
        if (requests === 2) return void side.socket.destroy();
        side.socket.write(ok());
      }
    });
    const ping = 'GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n';
    await client.send(ping).untilText('OK');
    client.forget();
    await client.send(ping).untilText('OK');
    expect(statusOf(client.text)).toBe(200);
    expect(requests).toBe(3);
  });
});

describe('a client that stops sending', () => {
  it('still gets its answer, and the engine sees that it has stopped', async () => {
    await start(async (side) => {
      await side.until(({ ended }) => ended);
      side.socket.end(ok('after the end'));
    });
    client.send('GET /v1.45/containers/web/logs?stdout=1 HTTP/1.1\r\nHost: docker\r\n\r\n').socket.end();
    expect(await client.untilEnd()).toMatch(/after the end$/);
  }, 1000);
});

describe('an answer before the request’s end', () => {
  it('reaches the client, which may stop sending; then both connections end', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno');
    });
    client.send('POST /v1.45/images/load HTTP/1.1\r\nHost: docker\r\nContent-Length: 100000000\r\n\r\n');
    client.send(Buffer.alloc(1 << 20));
    await client.untilEnd();
    expect(client.text).toBe('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
  });
});
