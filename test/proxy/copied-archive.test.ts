/** An archive on its way into a stopped container: a plain one keeps its length, a packed one goes on unpacked. */
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { copiedArchiveJudgeFor } from '../../src/registry/copied-archive.js';
import { defaultSettings } from '../../src/settings/schema.js';
import { RawClient } from './raw-client.js';
import { ok, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy } from './start.js';

const archive = Buffer.from('a plain archive, as far as anybody looks. '.repeat(5000));
let engine: ScriptedEngine;
let proxy: TestProxy;
let client: RawClient;

beforeEach(async () => {
  engine = await startScriptedEngine(async (side) => {
    await side.until(({ text }) => text.includes('\r\n0\r\n\r\n') || text.endsWith(archive.toString()));
    side.socket.write(ok());
  });
  proxy = await startTestProxy(engine.socket, {
    judgeStream: (_request, begin) => copiedArchiveJudgeFor(defaultSettings, begin),
  });
  client = new RawClient(proxy.socket);
});
afterEach(async () => {
  client.close();
  await proxy.stop();
  await engine.stop();
});

const head = (framing: string) =>
  `PUT /v1.45/containers/web/archive?path=/ HTTP/1.1\r\nHost: docker\r\n${framing}\r\n\r\n`;

it.each([1, 9, 10, 70_000])(
  'a plain one goes on with its length, when %d bytes come first',
  async (first) => {
    client.send(head(`Content-Length: ${archive.length}`)).send(archive.subarray(0, first));
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.send(archive.subarray(first));
    await client.untilText('200 OK');
    expect(engine.text).toContain(`Content-Length: ${archive.length}\r\n`);
    expect(engine.text.endsWith(archive.toString())).toBe(true);
  },
);

it('one in chunks goes on in chunks', async () => {
  client.send(head('Transfer-Encoding: chunked'));
  client
    .send(`${archive.length.toString(16)}\r\n`)
    .send(archive)
    .send('\r\n0\r\n\r\n');
  await client.untilText('200 OK');
  const chunks = engine.text.slice(engine.text.indexOf('\r\n\r\n') + 4);
  expect(chunks.replaceAll(/(^|\r\n)[0-9a-f]+\r\n/g, '')).toContain(archive.toString());
});

it('a packed one goes on unpacked, without the length that it had', async () => {
  const packed = gzipSync(archive);
  client.send(head(`Content-Length: ${packed.length}`)).send(packed);
  await client.untilText('200 OK');
  expect(engine.text).toContain('Transfer-Encoding: chunked\r\n');
  expect(engine.text).not.toContain('Content-Length');
});

it('a client that goes away before it said how the archive begins leaves nothing at the engine', async () => {
  client.send(head(`Content-Length: ${archive.length}`)).send('abc');
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.close();
  await expect.poll(() => proxy.records.length).toBe(1);
  expect(engine.text).toBe('');
});
