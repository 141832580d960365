/** events cut after 10 minutes, quiet `logs -f` cut: shown with a clock that is moved on, not by waiting. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RawClient, statusOf } from './raw-client.js';
import { type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy } from './start.js';

let engine: ScriptedEngine;
let proxy: TestProxy;
let client: RawClient;

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'Date', 'performance'],
  });
});

afterEach(async () => {
  client.close();
  vi.useRealTimers();
  await proxy.stop();
  await engine.stop();
});

const week = 7 * 24 * 3600 * 1000;
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const raw = 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n';

const streams = [
  ['events cut after 10 minutes', 'GET /v1.45/events', chunked],
  ['quiet `logs -f` cut', 'GET /v1.45/containers/web/logs?follow=1&stdout=1', chunked],
  ['stats', 'GET /v1.45/containers/web/stats', chunked],
  ['wait', 'POST /v1.45/containers/web/wait', chunked],
  ['attach', 'POST /v1.45/containers/web/attach?stream=1&stdout=1', raw],
] as const;

describe.each(streams)('%s', (_name, request, head) => {
  it('it goes on after a week without a byte', async () => {
    engine = await startScriptedEngine(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(head);
      await side.until(() => false);
    });
    proxy = await startTestProxy(engine.socket);
    client = new RawClient(proxy.socket);
    await client.send(`${request} HTTP/1.1\r\nHost: docker\r\n\r\n`).untilText('\r\n\r\n');
    await vi.advanceTimersByTimeAsync(week);
    engine.connections[0]?.socket.write('5\r\nafter\r\n');
    await client.untilText('after');
  });
});

describe('a kept connection', () => {
  it('that is idle for a week still serves', async () => {
    engine = await startScriptedEngine(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write('HTTP/1.1 204 No Content\r\n\r\n');
    });
    proxy = await startTestProxy(engine.socket);
    client = new RawClient(proxy.socket);
    const ping = 'GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n';
    await client.send(ping).untilText('204');
    await vi.advanceTimersByTimeAsync(week);
    client.forget();
    await client.send(ping).untilText('204');
  });

  it('with half a head is closed: it could hold a place for ever', async () => {
    engine = await startScriptedEngine(async () => undefined);
    proxy = await startTestProxy(engine.socket);
    client = new RawClient(proxy.socket).send('GET /_ping HTTP/1.1\r\nHost:');
    await vi.waitFor(() => expect(vi.getTimerCount()).toBeGreaterThan(1));
    await vi.advanceTimersByTimeAsync(61_000);
    expect(statusOf(await client.untilEnd())).toBe(408);
  });
});
