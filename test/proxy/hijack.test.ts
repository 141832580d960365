/** Raw streams: attach, exec and WebSocket, begun only by the engine's own answer, and passed on byte for byte. */
import { describe, expect, it } from 'vitest';
import { statusOf } from './raw-client.js';
import { answering, ok } from './scripted-engine.js';
import { client, engine, proxy, start } from './scripted-proxy.js';

const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';
const attach = (fields: string) =>
  `POST /v1.45/containers/web/attach?stdin=1&stdout=1&stream=1 HTTP/1.1\r\nHost: docker\r\n${fields}\r\n`;
const execBody = '{"Detach":false,"Tty":false}';
const exec = (fields: string, body = execBody) =>
  `POST /v1.45/exec/abc/start HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
const switched =
  'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n';
const raw = 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n';
const multiplexed = 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n';

describe('exec/attach upgrade answered with 200: it becomes a stream like one answered with 101', () => {
  it.each([
    ['attach, 101', attach(upgrade), switched],
    ['attach, 200 raw', attach(''), raw],
    ['attach, 200 multiplexed', attach(''), multiplexed],
    ['attach, 200 although an upgrade was asked for', attach(upgrade), raw],
    ['exec, 101', exec(upgrade), switched],
    ['exec, 200 raw', exec(''), raw],
  ])(
    '%s: bytes go both ways, and each direction ends by itself',
    async (_name, request, answer) => {
      await start(async (side) => {
        await side.untilText('\r\n\r\n');
        side.socket.write(answer);
        await side.untilText('from the client');
        side.socket.write('from the engine');
        await side.until(({ ended }) => ended);
        side.socket.end('after the client ended');
      }).then((opened) => opened.send(request));
      await client.untilText(answer);
      await client.send('from the client').untilText('from the engine');
      client.socket.end();
      expect(await client.untilEnd()).toBe(`${answer}from the engineafter the client ended`);
    },
    5000,
  );

  it('the engine may end first, and still gets what the client sends', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.end(`${switched}last words`);
    });
    await client.send(attach(upgrade)).untilEnd();
    expect(client.text).toBe(`${switched}last words`);
    client.send('late input').socket.end();
    await engine.connections[0]?.until(({ text, ended }) => ended && text.endsWith('late input'));
  });
});

describe('bytes that come along with a head', () => {
  it('from the engine, in the same chunk as its answer, are not lost', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(`${switched}\x01\0\0\0\0\0\0\x05hello`, 'latin1');
    });
    await client.send(attach(upgrade)).untilText('hello');
    expect(client.text).toBe(`${switched}\x01\0\0\0\0\0\0\x05hello`);
  });

  it('from the client, together with its request, reach the engine after its answer and not before', async () => {
    let early = '';
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      await new Promise((resolve) => setTimeout(resolve, 50));
      early = side.text;
      side.socket.write(switched);
      await side.untilText('early bird');
      side.socket.end('got it');
    });
    await client.send(`${attach(upgrade)}early bird`).untilText('got it');
    expect(early).not.toContain('early bird');
  });

  it('an end that came along with them is passed on as well', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      await new Promise((resolve) => setTimeout(resolve, 50));
      side.socket.write(switched);
      await side.until(({ ended }) => ended);
      side.socket.end(`echo ${side.text.split('\r\n\r\n')[1]}`);
    });
    client.send(`${attach(upgrade)}all input`).socket.end();
    expect(await client.untilEnd()).toBe(`${switched}echo all input`);
  });

  it('a million bytes each way stay in order', async () => {
    const block = Buffer.from(
      Array.from({ length: 1 << 20 }, (_, index) => (index * 7 + (index >> 8)) & 0xff),
    );
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      const before = side.received.length;
      side.socket.write(switched);
      side.socket.write(block);
      await side.until(({ ended }) => ended);
      side.socket.end(side.received.subarray(before));
    });
    client.send(attach(upgrade));
    await client.untilText('\r\n\r\n');
    client.send(block).socket.end();
    await client.untilEnd();
    const body = client.received.subarray(switched.length);
    expect(body.length).toBe(2 * block.length);
    expect(body.subarray(0, block.length).equals(block)).toBe(true);
    expect(body.subarray(block.length).equals(block)).toBe(true);
  });
});

describe('an answer that is no hijack leaves the connection HTTP: nothing can be smuggled', () => {
  const smuggled = 'GET /v1.45/containers/smuggled/json HTTP/1.1\r\nHost: docker\r\n\r\n';
  const answers = [
    ['a detached exec', exec(upgrade, '{"Detach":true}'), ok('')],
    ['an exec that fails with 409', exec(upgrade), 'HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n'],
    ['an attach to nothing', attach(upgrade), 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'],
    [
      'a 200 with a length',
      attach(upgrade),
      'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\nContent-Length: 0\r\n\r\n',
    ],
    [
      'a 200 of another type',
      attach(upgrade),
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ] as const;

  it.each(answers)('%s', async (_name, request, answer) => {
    const seen: string[] = [];
    await start(async (side, index) => {
      await side.untilText('\r\n\r\n');
      if (index === 0) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        seen.push(side.text);
      }
      side.socket.write(index === 0 ? answer : ok('judged'));
    });
    await client.send(request + smuggled).untilText('judged');
    // It was read as a request of its own: with its own head, on another connection, judged like any other.
    expect(seen[0]).not.toContain('smuggled');
    expect(engine.connections[0]?.text).not.toContain('smuggled');
    expect(engine.connections[1]?.text).toMatch(
      /^GET \/v1\.45\/containers\/smuggled\/json HTTP\/1\.1\r\nHost: docker\r\n/,
    );
    expect(proxy.records.map((entry) => ('route' in entry ? entry.route : ''))).toContain(
      'container.inspect',
    );
  });

  it('a 101 without an upgrade asked for is a fault of the engine', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(`${switched}raw`);
    });
    await client.send(attach('')).untilText('}\n');
    expect(statusOf(client.text)).toBe(502);
  });

  it('an upgrade on an ordinary endpoint isn’t passed on', async () => {
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(ok());
    });
    const request = `GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`;
    await client.send(request).untilText('OK');
    expect(engine.text).toBe('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n');
  });

  it('each stream has a connection of its own, never used again', async () => {
    await start(async (side, index) => {
      if (index !== 1) return await answering(ok())(side);
      await side.untilText('\r\n\r\n');
      side.socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    });
    const ping = 'GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n';
    await client.send(ping).untilText('OK');
    await client.send(attach(upgrade)).untilText('404');
    client.forget();
    await client.send(ping).untilText('OK');
    expect(engine.connections).toHaveLength(2);
    expect(engine.connections[0]?.text).toBe(ping + ping);
  });
});

describe('WebSocket attach', () => {
  const request =
    'GET /v1.45/containers/web/attach/ws?stream=1&stdout=1 HTTP/1.1\r\nHost: docker\r\nOrigin: http://localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

  it('is passed on with its handshake, then as bytes', async () => {
    const answer =
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';
    await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(`${answer}\x82\x05hello`, 'latin1');
      await side.untilText('\x88');
      side.socket.end('\x88\0', 'latin1');
    });
    await client.send(request).untilText('hello');
    expect(engine.text).toContain('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n');
    expect(engine.text).toContain('Connection: Upgrade\r\nUpgrade: websocket\r\n');
    client.send('\x88\x80\0\0\0\0');
    expect(await client.untilEnd()).toBe(`${answer}\x82\x05hello\x88\0`);
  });
});
