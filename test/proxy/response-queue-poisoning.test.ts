/** Answers of an engine gone wrong: a client must never get one request's bytes as another's answer. */
import { afterEach, describe, expect, it } from 'vitest';
import { messageOf, RawClient, statusOf } from './raw-client.js';
import { type EngineSide, ok, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy } from './start.js';

let engine: ScriptedEngine;
let proxy: TestProxy;

afterEach(async () => {
  await proxy.stop();
  await engine.stop();
});

async function start(script: (side: EngineSide, index: number) => Promise<void>): Promise<RawClient> {
  engine = await startScriptedEngine(script);
  proxy = await startTestProxy(engine.socket);
  return new RawClient(proxy.socket);
}

const ping = 'GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n';
const poison = ok('poison');

const broken: readonly (readonly [name: string, answer: string])[] = [
  [
    'Transfer-Encoding with Content-Length',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two Content-Lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nOK'],
  ['a signed Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nOK'],
  ['an unknown Transfer-Encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nOK'],
  ['a bare line feed in the head', 'HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\nOK'],
  ['a folded field', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nOK'],
  ['no status line', 'nonsense\r\n\r\n'],
  ['HTTP/2 in the status line', 'HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nOK'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nOK'],
  [
    'an upgrade that nobody asked for',
    'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nraw',
  ],
];

describe.each(broken)('an answer with %s', (_name, answer) => {
  it('becomes a 502 in Docker’s JSON, and the connection to the engine is given up', async () => {
    const client = await start(async (side, index) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(index === 0 ? answer : ok(), 'latin1');
    });
    await client.send(ping).untilText('}\n');
    expect(statusOf(client.text)).toBe(502);
    expect(messageOf(client.text)).not.toBe('');
    client.forget();
    await client.send(ping).untilText('OK');
    expect(statusOf(client.text)).toBe(200);
    expect(client.text).not.toContain('raw');
    client.close();
  });
});

describe('bytes behind a complete answer', () => {
  it.each([
    ['of a length', ok('OK') + poison],
    ['of chunks', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n${poison}`],
    ['without a body', `HTTP/1.1 204 No Content\r\n\r\n${poison}`],
  ])('%s are never given to the next request', async (_name, answer) => {
    const client = await start(async (side, index) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(index === 0 ? answer : ok('second'), 'latin1');
    });
    await client.send(ping).untilText('\r\n\r\n');
    await client.send(ping).untilText('second');
    expect(client.text).not.toContain('poison');
    client.close();
  });

  it('that come while the connection is idle end it', async () => {
    const client = await start(async (side, index) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(ok(index === 0 ? 'first' : 'second'));
      if (index === 0) setTimeout(() => side.socket.write(poison), 10);
    });
    await client.send(ping).untilText('first');
    await engine.connections[0]?.until(({ ended, closed }) => ended || closed);
    await client.send(ping).untilText('second');
    expect(client.text).not.toContain('poison');
    client.close();
  });
});

describe('the end of an answer', () => {
  it('without a length is the end of both connections', async () => {
    const client = await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it');
    });
    const text = await client.send(ping).untilEnd();
    expect(text).toMatch(/Connection: close\r\n/);
    expect(text).toMatch(/\r\n\r\nall of it$/);
    client.close();
  });

  it('that comes too early breaks the client’s connection off: half an answer never looks whole', async () => {
    const client = await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    });
    const text = await client.send(ping + ping).untilEnd();
    expect(text).toMatch(/\r\n\r\nhalf$/);
    client.close();
  });

  it.each([
    ['HEAD', 'HEAD /_ping HTTP/1.1\r\nHost: docker\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'],
    [
      '204',
      'POST /v1.45/containers/web/start HTTP/1.1\r\nHost: docker\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
    ],
    [
      '304',
      'POST /v1.45/containers/web/start HTTP/1.1\r\nHost: docker\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n',
    ],
  ])('needs no body for %s', async (_name, request, answer) => {
    const client = await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(answer);
      await side.untilText('_ping HTTP/1.1\r\nHost: docker\r\n\r\n');
      await side.until(({ text }) => text.split('\r\n\r\n').length > 2);
      side.socket.write(ok('next'));
    });
    await client.send(request).untilText('\r\n\r\n');
    expect(client.text).toBe(answer);
    await client.send(ping).untilText('next');
    expect(engine.connections).toHaveLength(1);
    client.close();
  });
});

describe('trailers and interim answers', () => {
  it('trailers of a chunked answer are passed on as they are', async () => {
    const answer =
      'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\nX-Sum: 7\r\n\r\n';
    const client = await start(async (side) => {
      await side.untilText('\r\n\r\n');
      for (const byte of answer) side.socket.write(byte);
    });
    await client.send(ping).untilText('X-Sum: 7\r\n\r\n');
    expect(client.text.replace(/Transfer-Encoding: chunked\r\n/, '')).toBe(
      answer.replace(/Transfer-Encoding: chunked\r\n/, ''),
    );
    client.close();
  });

  it('an interim answer that nobody waits for is dropped', async () => {
    const client = await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok()}`);
    });
    await client.send(ping).untilText('OK');
    expect(client.text).toBe(ok());
    client.close();
  });

  it('fields that belong to the engine’s connection stay there', async () => {
    const client = await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(
        'HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nOK',
      );
    });
    await client.send(ping).untilText('OK');
    expect(client.text).toBe('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK');
    client.close();
  });
});
