/** The engine's side of HTTP/2 against bytes, also such as no engine should send. */
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
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
import { connection, open } from './engine-calls.js';

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

  it('let calls begin that wait, once settings allow more', async () => {
    const { upstream, engine } = connection();
    const frames = framesFrom(engine);
    const begun = () => frames.filter(({ type }) => type === frameType.headers).map(({ stream }) => stream);
    engine.write(writeSettings(new Map([[3, 1]])));
    await expect.poll(() => frames.length).toBe(3);
    const outcomes = [open(upstream, true), open(upstream, true), open(upstream, true)];
    await expect.poll(begun).toEqual([1]);
    engine.write(writeSettings(new Map([[3, 2]])));
    await expect.poll(begun).toEqual([1, 3]);
    engine.write(Buffer.concat(writeHeaders(1, ok, true)));
    await expect.poll(begun).toEqual([1, 3, 5]);
    engine.write(Buffer.concat([...writeHeaders(3, ok, true), ...writeHeaders(5, ok, true)]));
    expect(await Promise.all(outcomes.map(({ outcome }) => outcome.code))).toEqual([0, 0, 0]);
  });

  it('that say it leaves refuse the calls that wait, and begin none of them', async () => {
    const { upstream, engine, closed } = connection();
    const frames = framesFrom(engine);
    engine.write(writeSettings(new Map([[3, 1]])));
    await expect.poll(() => frames.length).toBe(3);
    const [running, waiting] = [open(upstream, true), open(upstream, true)];
    await expect.poll(() => frames.at(-1)?.type).toBe(frameType.headers);
    const leaving = Buffer.alloc(8);
    leaving.writeUInt32BE(1);
    engine.write(writeFrame(frameType.goAway, 0, 0, leaving));
    expect(await waiting.outcome.code).toBe(7);
    engine.write(Buffer.concat(writeHeaders(1, ok, true)));
    expect(await running.outcome.code).toBe(0);
    await closed;
    expect(frames.filter(({ type }) => type === frameType.headers).length).toBe(1);
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
