/** Several requests on one connection: in order, one at a time, none lost. */
import { afterEach, describe, expect, it } from 'vitest';
import { RawClient } from './raw-client.js';
import { answering, ok, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy } from './start.js';

let engine: ScriptedEngine;
let proxy: TestProxy;
let client: RawClient;

afterEach(async () => {
  client.close();
  await proxy.stop();
  await engine.stop();
});

const inspect = (name: string) => `GET /v1.45/containers/${name}/json HTTP/1.1\r\nHost: docker\r\n\r\n`;

describe('pipelined requests', () => {
  it('are answered in order, each after its predecessor', async () => {
    engine = await startScriptedEngine(async (side) => {
      for (let count = 1; ; count++) {
        await side.until(({ text, closed }) => closed || text.split('\r\n\r\n').length > count);
        if (side.closed) return;
        const requests = side.text.split('\r\n\r\n');
        expect(requests).toHaveLength(count + 1);
        const name = /containers\/(\w+)\//.exec(requests[count - 1] ?? '')?.[1] ?? '';
        await new Promise((resolve) => setTimeout(resolve, 2));
        side.socket.write(ok(`<${name}>`));
      }
    });
    proxy = await startTestProxy(engine.socket);
    client = new RawClient(proxy.socket);
    const names = Array.from({ length: 50 }, (_, index) => `c${index}`);
    await client.send(names.map(inspect).join('')).untilText('<c49>');
    expect(client.text.match(/<c\d+>/g)).toEqual(names.map((name) => `<${name}>`));
    expect(engine.connections).toHaveLength(1);
  });

  it('may be cut anywhere', async () => {
    engine = await startScriptedEngine(async (side) => {
      // The chunked request ends with its second empty line, the others with their first.
      const due = ({ text }: { text: string }) =>
        text.split('\r\n\r\n').length - (text.includes('Transfer-Encoding') ? 2 : 1);
      for (let answered = 0; answered < 4; answered++) {
        await side.until((now) => due(now) > answered);
        side.socket.write(ok('!'));
      }
    });
    proxy = await startTestProxy(engine.socket);
    client = new RawClient(proxy.socket);
    const bytes =
      inspect('a') +
      'POST /v1.45/images/load HTTP/1.1\r\nHost: docker\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n' +
      'POST /v1.45/containers/web/start HTTP/1.1\r\nHost: docker\r\nContent-Length: 2\r\n\r\n{}' +
      inspect('b');
    for (const byte of bytes) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.until(({ text }) => text.split('!').length === 5);
    expect(engine.text).toContain('\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
    // The body of a request that has none for the engine isn't passed on.
    expect(engine.text).toContain(
      'POST /v1.45/containers/web/start HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n',
    );
  });

  it('behind `Connection: close` are not read', async () => {
    engine = await startScriptedEngine(answering(ok()));
    proxy = await startTestProxy(engine.socket);
    client = new RawClient(proxy.socket);
    const closing = 'GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n';
    const text = await client.send(closing + inspect('never')).untilEnd();
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
    expect(text).toContain('Connection: close\r\n');
    expect(engine.text).not.toContain('never');
  });
});

describe('the head that the engine gets', () => {
  it('is written anew: nothing of the connection, nothing that the client’s Connection header names', async () => {
    engine = await startScriptedEngine(answering(ok()));
    proxy = await startTestProxy(engine.socket);
    client = new RawClient(proxy.socket);
    const request = [
      'GET /v1.45/containers/json?all=1&filters=%7B%22name%22%3A%5B%22a+b%22%5D%7D HTTP/1.1',
      'hOsT: evil.example',
      'User-Agent:   Docker-Client/28.2.2 (linux)  ',
      'Connection: keep-alive, X-Secret, X-Registry-Auth',
      'Keep-Alive: 5',
      'Proxy-Authorization: Basic x',
      'TE: trailers',
      'X-Secret: a',
      'X-Registry-Auth: b',
      'X-Meta-Trace: kept',
      '',
      '',
    ].join('\r\n');
    await client.send(request).untilText('OK');
    expect(engine.text).toBe(
      'GET /v1.45/containers/json?all=1&filters=%7B%22name%22%3A%5B%22a%20b%22%5D%7D HTTP/1.1\r\n' +
        'Host: docker\r\nUser-Agent: Docker-Client/28.2.2 (linux)\r\nX-Meta-Trace: kept\r\n\r\n',
    );
  });

  it('an HTTP/1.0 client gets its answer and the end of the connection', async () => {
    engine = await startScriptedEngine(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.end('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nOK');
    });
    proxy = await startTestProxy(engine.socket);
    client = new RawClient(proxy.socket);
    const text = await client.send('GET /_ping HTTP/1.0\r\n\r\n').untilEnd();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nOK$/);
    expect(engine.text).toBe('GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n');
  });
});
