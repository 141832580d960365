/** The engine's side of HTTP/2: against Node's own server, and against bytes that no engine should send. */
import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { CallReceiver, EngineCall } from '../../src/proxy/engine-call.js';
import { EngineHttp2 } from '../../src/proxy/engine-http2.js';
import { writeFields } from '../../src/proxy/hpack.js';
import {
  type Frame,
  FrameReader,
  frameType,
  readSettings,
  writeFrame,
  writeHeaders,
  writeNumber,
  writeSettings,
} from '../../src/proxy/http2-frames.js';
import { readAccepted, SocketReader } from '../../src/proxy/socket-reader.js';
import { socketPair } from '../../src/system/socket-pair.js';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A connection, greeted, and the engine's end of it. */
function connection(): { upstream: EngineHttp2; engine: Socket; goneAway: number[]; closed: Promise<void> } {
  const [near, engine] = socketPair();
  engine.on('error', () => undefined);
  const reader = new SocketReader({ take: () => undefined, holdsNothing: true });
  const socket = readAccepted(near, reader, 65_536);
  const upstream = new EngineHttp2({ socket, reader, early: undefined, ended: false });
  ends.push(
    () => upstream.destroy(),
    () => engine.destroy(),
  );
  const goneAway: number[] = [];
  const closed = new Promise<void>((resolve) => {
    upstream.watch({ goAway: (code) => goneAway.push(code), closed: resolve });
  });
  upstream.start();
  return { upstream, engine, goneAway, closed };
}

/** What became of a call. */
class Outcome implements CallReceiver {
  readonly fields: string[][] = [];
  readonly parts: Buffer[] = [];
  ends = 0;
  drains = 0;
  readonly code: Promise<number>;
  readonly #resolve: (code: number) => void;

  constructor() {
    let resolve: (code: number) => void = () => undefined;
    this.code = new Promise((settle) => {
      resolve = settle;
    });
    this.#resolve = resolve;
  }

  response(fields: readonly string[]): void {
    this.fields.push([...fields]);
  }
  data(bytes: Buffer): void {
    this.parts.push(bytes);
  }
  trailers(fields: readonly string[]): void {
    this.fields.push([...fields]);
  }
  ended(): void {
    this.ends++;
  }
  drained(): void {
    this.drains++;
  }
  closed(code: number): void {
    this.#resolve(code);
  }
}

const asked = [
  ':method',
  'POST',
  ':scheme',
  'http',
  ':authority',
  'docker',
  ':path',
  '/a',
  'x',
  '1',
  'x',
  '2',
];

function open(upstream: EngineHttp2, endStream = false): { call: EngineCall; outcome: Outcome } {
  const outcome = new Outcome();
  const call = upstream.open(asked, endStream, outcome);
  if (call === undefined) throw new Error('the connection takes no calls');
  return { call, outcome };
}

type Answer = (stream: ServerHttp2Stream, rawHeaders: string[]) => void;

function nodeEngine(engine: Socket, answer: Answer, settings = {}): ServerHttp2Session {
  const session = performServerHandshake(engine, { maxSendHeaderBlockLength: 1 << 24, settings });
  session.on('error', () => undefined);
  session.on(
    'stream',
    (stream: ServerHttp2Stream, _headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      stream.on('error', () => undefined);
      answer(stream, raw);
    },
  );
  ends.push(() => session.destroy());
  return session;
}

const characters = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
const long = `x${characters.repeat(2500)}x`;

describe('with an engine of Node’s', () => {
  it('fields go and come as they are, repeated ones and those of any length, on one connection again and again', async () => {
    const { upstream, engine } = connection();
    let seen: string[] = [];
    nodeEngine(engine, (stream, raw) => {
      seen = raw;
      stream.respond({ ':status': 200, a: ['1', '2'] }, { waitForTrailers: true });
      stream.on('wantTrailers', () =>
        stream.sendTrailers({ 'grpc-status': '2', details: [long, 'short', `${long}2`] }),
      );
      stream.end('body');
    });
    for (let round = 0; round < 3; round++) {
      const { outcome } = open(upstream, true);
      expect(await outcome.code).toBe(0);
      expect(seen).toEqual(asked);
      expect(outcome.fields[0]?.slice(0, 6)).toEqual([':status', '200', 'a', '1', 'a', '2']);
      expect(outcome.fields[1]).toEqual([
        ...['grpc-status', '2', 'details', long, 'details', 'short', 'details', `${long}2`],
      ]);
      expect(Buffer.concat(outcome.parts).toString()).toBe('body');
      expect(outcome.ends).toBe(1);
    }
  });

  it('a request of any length arrives, no faster than the engine reads', async () => {
    const { upstream, engine } = connection();
    const size = 8 << 20;
    let read = 0;
    let stream: ServerHttp2Stream | undefined;
    nodeEngine(engine, (opened) => {
      stream = opened;
      opened.pause();
    });
    const { call, outcome } = open(upstream);
    let given = 0;
    const piece = Buffer.alloc(100_000, 'x');
    const give = (): void => {
      while (given < size) {
        given += piece.length;
        if (!call.write(piece)) return;
      }
      call.end();
    };
    outcome.drained = give;
    give();
    await expect.poll(() => stream !== undefined).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(given).toBeLessThan(size / 2);
    stream?.on('data', (bytes: Buffer) => {
      read += bytes.length;
    });
    stream?.on('end', () => {
      stream?.respond({ ':status': 200 });
      stream?.end();
    });
    stream?.resume();
    expect(await outcome.code).toBe(0);
    expect(read).toBe(given);
  });

  it('an answer that isn’t taken stops the engine, and no other call', async () => {
    const { upstream, engine } = connection();
    let left = 0;
    nodeEngine(engine, (stream) => {
      stream.respond({ ':status': 200 });
      const body = Buffer.alloc(6 << 20, 'x');
      stream.on('finish', () => left--);
      left++;
      stream.end(body);
    });
    const slow = open(upstream, true);
    slow.call.pause();
    const size = (outcome: Outcome) => outcome.parts.reduce((sum, part) => sum + part.length, 0);
    const quick = open(upstream, true);
    expect(await quick.outcome.code).toBe(0);
    expect(size(quick.outcome)).toBe(6 << 20);
    expect(size(slow.outcome)).toBeLessThanOrEqual(1 << 20);
    slow.call.resume();
    expect(await slow.outcome.code).toBe(0);
    expect(size(slow.outcome)).toBe(6 << 20);
  });

  it('calls beyond those that the engine takes at once wait for their turn', async () => {
    const { upstream, engine } = connection();
    let most = 0;
    let now = 0;
    const session = nodeEngine(
      engine,
      (stream) => {
        most = Math.max(most, ++now);
        setTimeout(() => {
          now--;
          stream.respond({ ':status': 200 }, { endStream: true });
        }, 5);
      },
      { maxConcurrentStreams: 2 },
    );
    await new Promise((resolve) => session.once('localSettings', resolve));
    const calls = Array.from({ length: 7 }, () => open(upstream, true));
    expect(await Promise.all(calls.map(({ outcome }) => outcome.code))).toEqual(Array(7).fill(0));
    expect(most).toBe(2);
  });

  it('a reset comes back with its code, and goes there with its own', async () => {
    const { upstream, engine } = connection();
    let arrived: number | undefined;
    nodeEngine(engine, (stream, raw) => {
      if (raw.includes('/a')) stream.on('close', () => (arrived = stream.rstCode));
    });
    const { call, outcome } = open(upstream);
    call.write(Buffer.from('x'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    call.close(8);
    expect(await outcome.code).toBe(8);
    await expect.poll(() => arrived).toBe(8);
  });

  it('a connection that the engine leaves carries its calls to their end, and no new ones', async () => {
    const { upstream, engine, goneAway, closed } = connection();
    let answer: () => void = () => undefined;
    const session = nodeEngine(engine, (stream) => {
      answer = () => stream.respond({ ':status': 200 }, { endStream: true });
    });
    const { outcome } = open(upstream, true);
    await new Promise((resolve) => setTimeout(resolve, 50));
    session.goaway(0, 1);
    await expect.poll(() => goneAway).toEqual([0]);
    expect(upstream.open(asked, true, new Outcome())).toBeUndefined();
    answer();
    expect(await outcome.code).toBe(0);
    await closed;
  });

  it('ends with the engine, and so do its calls', async () => {
    const { upstream, engine, closed } = connection();
    nodeEngine(engine, () => engine.destroy());
    const { outcome } = open(upstream, true);
    expect(await outcome.code).toBe(8);
    await closed;
    expect(upstream.open(asked, true, new Outcome())).toBeUndefined();
  });
});

const settings = writeSettings(new Map());
const ok = writeFields([':status', '200']);

/** What the client sends, as frames, its preface left out. */
function framesFrom(engine: Socket): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader();
  let prefaceLeft = 24;
  engine.on('data', (bytes: Buffer) => {
    const behind = bytes.subarray(Math.min(prefaceLeft, bytes.length));
    prefaceLeft -= bytes.length - behind.length;
    frames.push(...reader.push(Buffer.from(behind)));
  });
  return frames;
}

describe('bytes of an engine', () => {
  it.each([
    ['HTTP/1.1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 6],
    ['an answer before settings', Buffer.concat(writeHeaders(1, ok, true)), 1],
    ['an acknowledgement before settings', writeFrame(4, 1, 0, Buffer.alloc(0)), 1],
    ['settings cut off', writeFrame(4, 0, 0, Buffer.alloc(5)), 6],
    ['a window beyond all windows', writeSettings(new Map([[4, 0x8000_0000]])), 3],
    ['an answer to no call', Buffer.concat([settings, ...writeHeaders(3, ok, true)]), 1],
    ['data of no call', Buffer.concat([settings, writeFrame(0, 0, 5, Buffer.from('x'))]), 1],
    ['a continuation of nothing', Buffer.concat([settings, writeFrame(9, 4, 1, ok)]), 1],
    [
      'another frame within a header block',
      Buffer.concat([settings, writeFrame(1, 0, 1, ok), writeFrame(6, 0, 0, Buffer.alloc(8))]),
      1,
    ],
    ['a block that can’t be read', Buffer.concat([settings, writeFrame(1, 4, 1, Buffer.from([255]))]), 9],
    ['padding longer than its frame', Buffer.concat([settings, writeFrame(1, 12, 1, Buffer.from([9]))]), 1],
    ['a push', Buffer.concat([settings, writeFrame(5, 4, 1, Buffer.alloc(4))]), 1],
    ['a short ping', Buffer.concat([settings, writeFrame(6, 0, 0, Buffer.alloc(7))]), 6],
    ['a window that does not grow', Buffer.concat([settings, writeNumber(8, 0, 0)]), 1],
    ['a window grown too large', Buffer.concat([settings, writeNumber(8, 0, 0x7fff_ffff)]), 3],
  ])('%s ends the connection', async (_name, bytes, code) => {
    const { upstream, engine, closed } = connection();
    const frames = framesFrom(engine);
    const { outcome } = open(upstream);
    engine.write(bytes);
    await closed;
    expect(await outcome.code).toBe(8);
    await expect.poll(() => frames.at(-1)?.type).toBe(frameType.goAway);
    expect(frames.at(-1)?.content.readUInt32BE(4)).toBe(code);
  });

  it.each([
    ['an answer without a status', writeHeaders(1, writeFields(['a', 'b']), false)],
    ['data before the answer', [writeFrame(0, 0, 1, Buffer.from('x'))]],
    [
      'fields that are neither head nor trailers',
      [...writeHeaders(1, ok, false), ...writeHeaders(1, ok, false)],
    ],
    ['fields behind the end', [...writeHeaders(1, ok, true), ...writeHeaders(1, ok, true)]],
    ['a field with a line break', writeHeaders(1, writeFields([':status', '200', 'a', 'b\r\nc: d']), false)],
  ])('%s end the call alone', async (_name, frames) => {
    const { upstream, engine } = connection();
    const { outcome } = open(upstream);
    engine.write(Buffer.concat([settings, ...frames]));
    expect(await outcome.code).toBe(1);
    const next = open(upstream, true);
    engine.write(Buffer.concat(writeHeaders(3, ok, true)));
    expect(await next.outcome.code).toBe(0);
  });

  it('more than a call’s window ends the connection', async () => {
    const { upstream, engine, closed } = connection();
    const frames = framesFrom(engine);
    const { call } = open(upstream, true);
    call.pause();
    engine.write(Buffer.concat([settings, ...writeHeaders(1, ok, false)]));
    const full = writeFrame(0, 0, 1, Buffer.alloc(16_384));
    for (let size = 0; size <= 1 << 20; size += 16_384) engine.write(full);
    await closed;
    await expect.poll(() => frames.at(-1)?.type).toBe(frameType.goAway);
    expect(frames.at(-1)?.content.readUInt32BE(4)).toBe(3);
  });

  it('are read however they are cut; what comes before an answer, padding and unknown frames are passed over', async () => {
    const bytes = Buffer.concat([
      settings,
      writeFrame(0xfa, 0, 0, Buffer.from('grease')),
      writeFrame(2, 0, 1, Buffer.alloc(5)),
      ...writeHeaders(1, writeFields([':status', '103', 'link', 'x']), false),
      writeFrame(
        1,
        0x28,
        1,
        Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 0]), ok.subarray(0, 4), Buffer.alloc(3)]),
      ),
      writeFrame(9, 0, 1, Buffer.alloc(0)),
      writeFrame(9, 4, 1, ok.subarray(4)),
      writeFrame(0, 8, 1, Buffer.from('\x02body\0\0')),
      writeFrame(0, 1, 1, Buffer.alloc(0)),
    ]);
    for (const size of [1, 7, 10, bytes.length]) {
      const { upstream, engine } = connection();
      const { outcome } = open(upstream, true);
      for (let at = 0; at < bytes.length; at += size) {
        engine.write(bytes.subarray(at, at + size));
        if (size < 10) await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await outcome.code).toBe(0);
      expect(outcome.fields).toEqual([[':status', '200']]);
      expect(Buffer.concat(outcome.parts).toString()).toBe('body');
    }
  });

  it('are answered: settings and pings', async () => {
    const { engine } = connection();
    const frames = framesFrom(engine);
    const ping = Buffer.from('12345678');
    engine.write(Buffer.concat([settings, writeFrame(6, 0, 0, ping)]));
    await expect
      .poll(() => frames.map(({ type, flags }) => [type, flags]))
      .toEqual([
        [4, 0],
        [8, 0],
        [4, 1],
        [6, 1],
      ]);
    expect(frames[3]?.content).toEqual(ping);
    expect(readSettings(frames[0]?.content ?? Buffer.alloc(1)).get(2)).toBe(0);
  });
});
