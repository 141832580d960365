/** The engine's side of HTTP/2 against Node's own server. */
import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { asked, connection, ends, Outcome, open } from './engine-calls.js';

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
