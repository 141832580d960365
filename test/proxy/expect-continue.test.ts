/** `Expect: 100-continue`: whoever reads the body says when it may come. */
import { expect, it } from 'vitest';
import { statusOf } from './raw-client.js';
import { ok } from './scripted-engine.js';
import { client, engine, start } from './scripted-proxy.js';

const head = (path: string, length: number) =>
  `POST /v1.45/${path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;

it('a body that is judged is asked for by the proxy, and the engine gets it without the expectation', async () => {
  await start(async (side) => {
    await side.untilText('{"Name":"data"}');
    side.socket.write(ok());
  });
  await client.send(head('volumes/create', 15)).untilText('100 Continue\r\n\r\n');
  expect(engine.connections).toHaveLength(0);
  await client.send('{"Name":"data"}').untilText('OK');
  expect(engine.text).not.toContain('Expect');
});

it('a body that is streamed is asked for by the engine', async () => {
  await start(async (side) => {
    await side.untilText('\r\n\r\n');
    expect(side.text).toContain('Expect: 100-continue\r\n');
    side.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    await side.untilText('the image');
    side.socket.write(ok());
  });
  await client.send(head('images/load', 9)).untilText('100 Continue\r\n\r\n');
  await client.send('the image').untilText('OK');
  expect(client.text).toBe(`HTTP/1.1 100 Continue\r\n\r\n${ok()}`);
});

it('a body that the engine doesn’t want is never asked for', async () => {
  await start(async (side) => {
    await side.untilText('\r\n\r\n');
    side.socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  });
  expect(await client.send(head('images/load', 9)).untilEnd()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
});

it('a body that is too large is refused without being asked for', async () => {
  await start(async () => undefined);
  const text = await client.send(head('volumes/create', 5 << 20)).untilEnd();
  expect(statusOf(text)).toBe(413);
  expect(engine.connections).toHaveLength(0);
});

it('a chunked body that grows too large is refused with 413', async () => {
  await start(async () => undefined);
  client.send(
    'POST /v1.45/volumes/create HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  const block = ' '.repeat(1 << 20);
  for (let count = 0; count < 5; count++) client.send(`100000\r\n${block}\r\n`);
  expect(statusOf(await client.untilEnd())).toBe(413);
  expect(engine.connections).toHaveLength(0);
});
