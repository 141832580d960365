/** BuildKit's gRPC, terminated and carried over call by call: each message can be judged, and nothing else changes. */
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { framed, MessageReader } from '../../src/proxy/grpc-messages.js';
import type { GrpcJudge } from '../../src/registry/buildkit/grpc-judge.js';
import { type Answer, call, echo, method, outcomeOf, passing } from './grpc-calls.js';
import { startTestProxy, type TestProxy, temporaryFolder } from './start.js';

let server: Server;
let proxy: TestProxy;
let engineSession: ServerHttp2Session | undefined;
let client: ClientHttp2Session;
const sockets: Socket[] = [];

afterEach(async () => {
  client.destroy();
  await proxy.stop();
  for (const socket of sockets.splice(0)) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';

/** An engine that speaks HTTP/2 after the upgrade, a proxy, and a client's session through both. */
async function start(answer: Answer, judge?: Partial<GrpcJudge>): Promise<void> {
  const path = join(temporaryFolder(), 'engine.sock');
  server = createServer((socket) => {
    sockets.push(socket);
    socket.once('data', () => {
      // Both are written before the proxy can read: so the engine's SETTINGS come in the same chunk as its 101.
      socket.write(switched);
      const session = performServerHandshake(socket);
      engineSession = session;
      session.on('error', () => undefined);
      session.on(
        'stream',
        (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
          stream.on('error', () => undefined);
          answer(stream, headers, raw);
        },
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  proxy = await startTestProxy(path, { judgeGrpc: () => ({ ...passing, ...judge }) });
  const socket = connect(proxy.socket);
  sockets.push(socket);
  socket.write('POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  const head = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  expect(head.toString('latin1', 0, switched.length)).toBe(switched);
  socket.pause();
  if (head.length > switched.length) socket.unshift(head.subarray(switched.length));
  client = connectHttp2('http://docker', { createConnection: () => socket });
  client.on('error', () => undefined);
}

describe('a call that passes', () => {
  it('keeps its metadata, messages, trailers and status, repeated fields included', async () => {
    let seen: readonly string[] = [];
    await start((stream, _headers, raw) => {
      seen = raw;
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'x-list': ['a', 'b'], 'x-data-bin': 'AAEC' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () =>
        stream.sendTrailers({ 'grpc-status': '5', 'grpc-message': 'not%20found', 'x-t': ['1', '2'] }),
      );
      stream.pipe(stream);
    });
    const stream = client.request(
      call(method, { 'x-paths': ['one', 'two,three'], 'x-id': 'abc', constructor: 'plain' }),
    );
    stream.write(framed(Buffer.from('first')));
    stream.end(framed(Buffer.from('second')));
    const outcome = await outcomeOf(stream);
    expect(outcome.messages).toEqual(['first', 'second']);
    expect(outcome.headers[':status']).toBe(200);
    expect(outcome.rawHeaders.filter((_text, index, list) => list[index - 1] === 'x-list')).toEqual([
      'a',
      'b',
    ]);
    expect(outcome.trailers).toMatchObject({
      'grpc-status': '5',
      'grpc-message': 'not%20found',
      'x-t': '1, 2',
    });
    expect(outcome.code).toBe(constants.NGHTTP2_NO_ERROR);
    expect(seen.filter((_text, index) => seen[index - 1] === 'x-paths')).toEqual(['one', 'two,three']);
    expect(seen.filter((_text, index) => seen[index - 1] === 'constructor')).toEqual(['plain']);
    expect(seen[seen.indexOf(':path') + 1]).toBe(method);
  });

  it('may be answered by trailers alone', async () => {
    await start((stream) => {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' },
        { endStream: true },
      );
    });
    const stream = client.request(call(method), { endStream: true });
    expect(await outcomeOf(stream)).toMatchObject({
      headers: { 'grpc-status': '12' },
      messages: [],
      code: 0,
    });
  });

  it('may stay open both ways for as long as it likes', async () => {
    await start(echo);
    const stream = client.request(call(method));
    const received: string[] = [];
    const reader = new MessageReader();
    stream.on('data', (bytes: Buffer) => received.push(...reader.push(bytes).map(String)));
    for (const text of ['one', 'two', 'three']) {
      stream.write(framed(Buffer.from(text)));
      await expect.poll(() => received.at(-1)).toBe(text);
    }
    stream.end();
    expect(await outcomeOf(stream)).toMatchObject({ trailers: { 'grpc-status': '0' } });
  });

  it('moves megabytes both ways, as fast as the slower side reads', async () => {
    await start(echo);
    const stream = client.request(call(method));
    const message = framed(Buffer.alloc(1 << 20, 'x'));
    let size = 0;
    stream.on('data', (bytes: Buffer) => {
      size += bytes.length;
    });
    for (let count = 0; count < 20; count++) stream.write(message);
    stream.end();
    await outcomeOf(stream);
    expect(size).toBe(20 * message.length);
  });

  it('that isn’t read stops the engine', async () => {
    let written = 0;
    await start((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      const block = Buffer.alloc(1 << 16);
      const more = (): void => {
        do written += block.length;
        while (stream.write(block) && written < 64 << 20);
        stream.once('drain', more);
      };
      more();
    });
    const stream = client.request(call(method), { endStream: true });
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('response', resolve));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(written).toBeLessThan(16 << 20);
    stream.destroy();
  });
});

describe('the end of a call', () => {
  it('by the client resets it at the engine', async () => {
    let code: number | undefined;
    await start((stream) => {
      stream.on('close', () => {
        code = stream.rstCode;
      });
    });
    const stream = client.request(call(method));
    stream.write(framed(Buffer.from('first')));
    await new Promise((resolve) => setTimeout(resolve, 50));
    stream.close(constants.NGHTTP2_CANCEL);
    await expect.poll(() => code).toBe(constants.NGHTTP2_CANCEL);
  });

  it('by the engine resets it at the client, with the same code', async () => {
    await start((stream) => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM));
    const stream = client.request(call(method));
    expect((await outcomeOf(stream)).code).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });

  it('of the engine’s session ends the client’s, and the proxy lives on', async () => {
    await start((stream) => stream.session?.goaway(constants.NGHTTP2_NO_ERROR));
    const goaway = new Promise((resolve) => client.once('goaway', resolve));
    client.request(call(method)).on('error', () => undefined);
    await goaway;
    engineSession?.destroy();
    await new Promise((resolve) => (client.destroyed ? resolve(undefined) : client.once('close', resolve)));
    const next = connect(proxy.socket);
    sockets.push(next);
    next.write('nonsense\r\n\r\n');
    expect(String(await new Promise((resolve) => next.once('data', resolve)))).toContain('400');
    expect(proxy.errors).toEqual([]);
  });

  it('of the client’s session ends the engine’s', async () => {
    await start(echo);
    const stream = client.request(call(method));
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('response', resolve));
    client.destroy();
    await expect.poll(() => engineSession?.destroyed, { timeout: 1000 }).toBe(true);
    await expect.poll(() => Object.values(proxy.proxy.connections)).toEqual([0, 0, 0, 0]);
  });
});

describe('a call that is inspected', () => {
  it('has each message judged in its turn, replaced where the judge says so', async () => {
    const judged: string[] = [];
    await start(echo, {
      method: (path) => (path === method ? 'inspect' : 'pass'),
      message: async (path, bytes) => {
        const text = Buffer.from(bytes).toString();
        // The first takes longest: the order must stay all the same.
        await new Promise((resolve) => setTimeout(resolve, 30 - judged.length * 10));
        judged.push(`${path} ${text}`);
        return text === 'two' ? { kind: 'replace', message: Buffer.from('TWO and more') } : { kind: 'allow' };
      },
    });
    const stream = client.request(call(method));
    const bytes = Buffer.concat(['one', 'two', ''].map((text) => framed(Buffer.from(text))));
    for (const byte of bytes) stream.write(Buffer.from([byte]));
    stream.end();
    const outcome = await outcomeOf(stream);
    expect(judged).toEqual([`${method} one`, `${method} two`, `${method} `]);
    expect(outcome.messages).toEqual(['one', 'TWO and more', '']);
    expect(outcome.trailers['grpc-status']).toBe('0');
  });

  it('may have any number of messages that the engine is slow to take', async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error) => void warnings.push(name);
    process.on('warning', note);
    await start(echo, { method: () => 'inspect' });
    const stream = client.request(call(method));
    const message = framed(Buffer.alloc(1 << 18, 'x'));
    let size = 0;
    stream.on('data', (bytes: Buffer) => {
      size += bytes.length;
    });
    for (let count = 0; count < 40; count++) stream.write(message);
    stream.end();
    await outcomeOf(stream);
    process.off('warning', note);
    expect(size).toBe(40 * message.length);
    expect(warnings).toEqual([]);
  });

  it('is judged with the ref of the build that it belongs to', async () => {
    const builds: (string | undefined)[] = [];
    await start(echo, {
      method: () => 'inspect',
      message: (_path, _bytes, build) => {
        builds.push(build);
        return Promise.resolve({ kind: 'allow' });
      },
    });
    for (const more of [{ 'buildkit-controlapi-buildid': 'ref' }, {}]) {
      const stream = client.request(call(method, more));
      stream.end(framed(Buffer.from('solve')));
      await outcomeOf(stream);
    }
    expect(builds).toEqual(['ref', '']);
  });

  it('that is refused is answered with a status, and the engine never hears of it', async () => {
    let calls = 0;
    await start(
      (stream) => {
        calls++;
        stream.close();
      },
      {
        method: () => 'inspect',
        message: () =>
          Promise.resolve({
            kind: 'deny',
            status: 7,
            message: 'registry access to evil.io is not allowed: 100 %',
            setting: 'registryAccess.registries',
          }),
      },
    );
    const stream = client.request(call(method));
    stream.end(framed(Buffer.from('solve')));
    const { headers } = await outcomeOf(stream);
    expect(headers['grpc-status']).toBe('7');
    expect(decodeURIComponent(String(headers['grpc-message']))).toBe(
      'registry access to evil.io is not allowed: 100 %',
    );
    expect(calls).toBe(0);
    expect(proxy.records.at(-1)).toMatchObject({ verdict: 'denied', path: method });
  });

  it.each([
    ['compressed', Buffer.from([1, 0, 0, 0, 1, 0])],
    ['longer than the engine takes', Buffer.from([0, 0x7f, 0xff, 0xff, 0xff])],
    ['cut off', Buffer.from([0, 0, 0, 0, 9, 1])],
  ])('with a message that is %s is refused', async (_name, bytes) => {
    let calls = 0;
    await start(
      () => {
        calls++;
      },
      { method: () => 'inspect' },
    );
    const stream = client.request(call(method));
    stream.end(bytes);
    expect((await outcomeOf(stream)).headers['grpc-status']).toBe('12');
    expect(calls).toBe(0);
  });

  it('whose judge fails is refused', async () => {
    await start(echo, { method: () => 'inspect', message: () => Promise.reject(new Error('broken')) });
    const stream = client.request(call(method));
    stream.end(framed(Buffer.from('solve')));
    expect((await outcomeOf(stream)).headers['grpc-status']).not.toBe('0');
    expect(proxy.errors).toHaveLength(1);
  });
});

describe('a method that is refused', () => {
  it('is answered with its status at once', async () => {
    await start(echo, {
      method: () => ({ kind: 'deny', status: 12, message: 'unknown method', setting: 'none' }),
    });
    const stream = client.request(call('/moby.buildkit.v1.Control/Unknown'));
    expect((await outcomeOf(stream)).headers['grpc-status']).toBe('12');
  });
});

it('an answer that can’t be passed on ends the connection, and not cofferdam', async () => {
  await start(
    (stream) => {
      stream.respond({ ':status': 200, 'x-content-type': 'a' }, { endStream: true });
    },
    {
      method: () => 'inspect',
      status: () => ({ rawHeaders: [':status', '200', 'content-type', 'a', 'content-type', 'b'] }),
    },
  );
  const closed = new Promise((resolve) => client.once('close', resolve));
  const stream = client.request(call(method));
  stream.on('error', () => undefined);
  stream.end(framed(Buffer.from('x')));
  await closed;
  expect(proxy.errors).toHaveLength(1);
});

describe('a connection that is only upgraded', () => {
  /** Sends the upgrade and nothing else. */
  async function probe(): Promise<{ socket: Socket; engine: Socket; fromEngine: Promise<Buffer> }> {
    await start(echo);
    const socket = connect({ path: proxy.socket, allowHalfOpen: true });
    sockets.push(socket);
    socket.write('POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
    const fromEngine = new Promise<Buffer>((resolve) => socket.once('data', resolve));
    await fromEngine;
    const engine = sockets.at(-1);
    if (engine === undefined) throw new Error('the engine was not asked');
    return { socket, engine, fromEngine };
  }

  it('ends on the engine’s side as well, which was sent nothing', async () => {
    const { socket, engine, fromEngine } = await probe();
    expect((await fromEngine).toString()).toBe(switched);
    const sent = engine.bytesRead;
    const ended = new Promise((resolve) => engine.once('close', resolve));
    socket.end();
    await ended;
    expect(engine.bytesRead).toBe(sent);
  });

  it('ends with the engine', async () => {
    const { socket, engine } = await probe();
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.on('end', () => socket.end()).resume();
    engine.destroy();
    await ended;
  });

  it('ends when cofferdam stops', async () => {
    const { socket } = await probe();
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.on('end', () => socket.end()).resume();
    client.destroy();
    await proxy.stop();
    await ended;
  });
});
