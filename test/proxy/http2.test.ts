/** HTTP/2 with prior knowledge on the socket: gRPC is served where the engine serves it, and refused in words elsewhere. */
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { framed } from '../../src/proxy/grpc-messages.js';
import type { ProxyOptions } from '../../src/proxy/proxy.js';
import type { GrpcJudge } from '../../src/registry/buildkit/grpc-judge.js';
import type { JudgedRequest, Rule } from '../../src/rules/rule.js';
import { type Answer, call, echo, method, outcomeOf, passing } from './grpc-calls.js';
import { RawClient } from './raw-client.js';
import { answering, ok, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy, temporaryFolder } from './start.js';

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
let proxy: TestProxy;
/** What is to be undone, the last first. */
const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

interface Http2Engine {
  readonly socket: string;
  /** The calls that arrived. */
  readonly calls: IncomingHttpHeaders[];
  readonly sessions: ServerHttp2Session[];
}

/** An engine that serves HTTP/2 without an upgrade. */
async function http2Engine(answer: Answer): Promise<Http2Engine> {
  const engine: Http2Engine = { socket: join(temporaryFolder(), 'engine.sock'), calls: [], sessions: [] };
  const server: Http2Server = createServer();
  server.on('session', (session) => {
    engine.sessions.push(session);
    session.on('error', () => undefined);
  });
  server.on(
    'stream',
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      engine.calls.push(headers);
      stream.on('error', () => undefined);
      answer(stream, headers, raw);
    },
  );
  await new Promise<void>((resolve) => server.listen(engine.socket, resolve));
  undo.push(() => {
    for (const session of engine.sessions) session.destroy();
    server.close();
  });
  return engine;
}

async function startProxy(engineSocket: string, options: Partial<ProxyOptions> = {}): Promise<void> {
  proxy = await startTestProxy(engineSocket, options);
  undo.push(() => proxy.stop());
}

/** A client that speaks HTTP/2 at once. */
function http2Client(): ClientHttp2Session {
  const client = connectHttp2('http://docker', { createConnection: () => connect(proxy.socket) });
  client.on('error', () => undefined);
  undo.push(() => client.destroy());
  return client;
}

const judging = (judge: Partial<GrpcJudge>): Partial<ProxyOptions> => ({
  judgeGrpc: () => ({ ...passing, ...judge }),
});

/** A client's session through a proxy to an engine that serves HTTP/2. */
async function start(
  answer: Answer,
  options?: Partial<ProxyOptions>,
): Promise<{ readonly engine: Http2Engine; readonly client: ClientHttp2Session }> {
  const engine = await http2Engine(answer);
  await startProxy(engine.socket, options);
  return { engine, client: http2Client() };
}

/** The JSON answer to a request that isn't gRPC. */
async function requested(
  client: ClientHttp2Session,
  fields: Record<string, string>,
): Promise<{
  readonly status: unknown;
  readonly body: string;
}> {
  const stream = client.request(fields, { endStream: true });
  let status: unknown;
  let body = '';
  stream.on('response', (headers) => {
    status = headers[':status'];
  });
  stream.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  await new Promise((resolve) => stream.once('close', resolve));
  return { status, body };
}

const gone = (client: ClientHttp2Session): Promise<void> =>
  new Promise((resolve) => {
    if (client.destroyed) resolve();
    else client.once('close', () => resolve());
  });

describe('an engine that serves it', () => {
  it('gets the calls with their metadata and messages, and its answers come back', async () => {
    const { engine, client } = await start(echo);
    for (const text of ['first', 'second']) {
      const stream = client.request(call(method, { 'x-id': text }));
      stream.end(framed(Buffer.from(text)));
      const outcome = await outcomeOf(stream);
      expect(outcome.messages).toEqual([text]);
      expect(outcome.trailers['grpc-status']).toBe('0');
    }
    expect(engine.calls.map((headers) => [headers[':path'], headers['x-id']])).toEqual([
      [method, 'first'],
      [method, 'second'],
    ]);
    expect(engine.sessions).toHaveLength(1);
    expect(proxy.records).toMatchObject([
      { route: 'build.grpc', path: '/grpc', verdict: 'allowed', status: 200, caller: { pid: process.pid } },
    ]);
  });

  it('gets no message that the judge refuses, and no method', async () => {
    const { engine, client } = await start(
      echo,
      judging({
        method: (path) =>
          path === method ? 'inspect' : { kind: 'deny', status: 12, message: 'unknown', setting: 'none' },
        message: () =>
          Promise.resolve({ kind: 'deny', status: 7, message: 'evil.io is not allowed', setting: 'none' }),
      }),
    );
    const refused = client.request(call(method));
    refused.end(framed(Buffer.from('solve')));
    expect((await outcomeOf(refused)).headers).toMatchObject({
      'grpc-status': '7',
      'grpc-message': 'evil.io%20is%20not%20allowed',
    });
    const unknown = await outcomeOf(client.request(call('/moby.buildkit.v1.Control/Unknown')));
    expect(unknown.headers['grpc-status']).toBe('12');
    expect(engine.calls).toEqual([]);
    expect(proxy.records).toMatchObject([
      { verdict: 'allowed' },
      { verdict: 'denied', path: method },
      { verdict: 'denied', path: '/moby.buildkit.v1.Control/Unknown' },
    ]);
  });

  it.each([
    ['a request of the API', { ':path': '/v1.45/containers/json' }],
    [
      'a request of the API that calls itself JSON',
      { ':path': '/_ping', 'content-type': 'application/json' },
    ],
    ['a method of gRPC with another type', { ':path': method, 'content-type': 'text/application/grpc' }],
  ])('never gets %s: it is answered in Docker’s JSON', async (_name, fields) => {
    const { engine, client } = await start(echo);
    const { status, body } = await requested(client, { ':method': 'POST', ...fields });
    expect(status).toBe(505);
    expect(JSON.parse(body)).toEqual({ message: expect.stringContaining('use HTTP/1.1') });
    expect(await requested(client, { ':method': 'HEAD', ...fields })).toEqual({ status: 505, body: '' });
    expect(engine.calls).toEqual([]);
    expect(proxy.records.slice(1)).toMatchObject([
      { verdict: 'malformed', error: 'COFFERDAM_HTTP_VERSION', status: 505 },
      { verdict: 'malformed', error: 'COFFERDAM_HTTP_VERSION', status: 505 },
    ]);
  });

  it('never gets a call with two types', async () => {
    const { engine, client } = await start(echo);
    const sent = new RawClient(proxy.socket);
    undo.push(() => sent.close());
    const literal = (name: string, value: string) =>
      Buffer.concat([
        Buffer.of(0, name.length),
        Buffer.from(name),
        Buffer.of(value.length),
        Buffer.from(value),
      ]);
    const block = Buffer.concat([
      literal(':method', 'POST'),
      literal(':scheme', 'http'),
      literal(':authority', 'docker'),
      literal(':path', method),
      literal('content-type', 'application/grpc'),
      literal('content-type', 'application/json'),
    ]);
    const head = Buffer.from([0, 0, block.length, 1, 5, 0, 0, 0, 1]);
    sent
      .send(preface)
      .send(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]))
      .send(Buffer.concat([head, block]));
    await sent.untilText('use HTTP/1.1');
    client.destroy();
    expect(engine.calls).toEqual([]);
  });

  it('is found however slowly the preface comes', async () => {
    const engine = await http2Engine(echo);
    await startProxy(engine.socket);
    const client = new RawClient(proxy.socket);
    undo.push(() => client.close());
    for (const byte of preface) {
      client.send(byte);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    // The first bytes are the SETTINGS of the proxy: no stream, and their type.
    await client.until(({ size }) => size >= 9);
    expect(client.received[3]).toBe(4);
    expect(engine.sessions.length).toBe(1);
  });

  it('isn’t asked by a preface behind a request of HTTP/1', async () => {
    const engine = await startScriptedEngine(answering(ok()));
    undo.push(() => engine.stop());
    await startProxy(engine.socket);
    const client = new RawClient(proxy.socket);
    undo.push(() => client.close());
    client.send(`GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n${preface}`);
    const answers = await client.untilEnd();
    expect(answers.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 505']);
    expect(engine.text).not.toContain('PRI');
  });
});

describe('the end of a connection', () => {
  it('by the client, before the engine has answered, ends the engine’s', async () => {
    const engine = await startScriptedEngine((side) => side.until(({ closed }) => closed));
    undo.push(() => engine.stop());
    await startProxy(engine.socket);
    const client = new RawClient(proxy.socket).send(preface);
    await expect.poll(() => engine.text).toContain('PRI');
    client.close();
    await expect.poll(() => engine.connections[0]?.closed || engine.connections[0]?.ended).toBe(true);
    await expect.poll(() => proxy.records).toMatchObject([{ error: 'COFFERDAM_CLIENT_GONE' }]);
  });

  it('of a container’s socket comes with its revocation', async () => {
    const container = 'a'.repeat(64);
    const { engine, client } = await start(echo, { callerOf: (peer) => ({ ...peer, container }) });
    const stream = client.request(call(method));
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('response', resolve));
    proxy.proxy.disconnect('b'.repeat(64));
    expect(client.destroyed).toBe(false);
    proxy.proxy.disconnect(container);
    await gone(client);
    await expect.poll(() => engine.sessions.every(({ destroyed }) => destroyed)).toBe(true);
    await expect.poll(() => Object.values(proxy.proxy.connections)).toEqual([0, 0, 0, 0]);
  });

  it('comes at once when the proxy stops and no call is open', async () => {
    const { client } = await start(echo);
    const stream = client.request(call(method), { endStream: true });
    await outcomeOf(stream);
    await proxy.proxy.close({ drainMilliseconds: 30_000 });
    await gone(client);
  });

  it('waits for the calls that are open when the proxy stops, and for those that belong to them', async () => {
    const { client } = await start(echo);
    const build = client.request(call(method));
    build.write(framed(Buffer.from('begun')));
    await new Promise((resolve) => build.once('response', resolve));
    const finished = outcomeOf(build);
    let stopped = false;
    const closed = proxy.proxy.close({ drainMilliseconds: 30_000 }).then(() => {
      stopped = true;
    });
    const further = client.request(call('/moby.buildkit.v1.frontend.LLBBridge/Ping'));
    further.end(framed(Buffer.from('ping')));
    expect((await outcomeOf(further)).messages).toEqual(['ping']);
    expect(stopped).toBe(false);
    build.end(framed(Buffer.from('done')));
    expect((await finished).trailers['grpc-status']).toBe('0');
    await closed;
    await gone(client);
  });
});

describe('an engine that doesn’t serve it', () => {
  const refusal = async (client: ClientHttp2Session) => {
    const { headers } = await outcomeOf(client.request(call(method)));
    return {
      status: headers['grpc-status'],
      message: decodeURIComponent(String(headers['grpc-message'])),
    };
  };

  it('has its clients told so, over HTTP/2, and the connection ends', async () => {
    const engine = await startScriptedEngine(answering('HTTP/1.1 400 Bad Request\r\n\r\n'));
    undo.push(() => engine.stop());
    await startProxy(engine.socket);
    const client = http2Client();
    expect(await refusal(client)).toEqual({
      status: '12',
      message: expect.stringContaining('this Docker Engine does not serve HTTP/2 without an upgrade'),
    });
    await gone(client);
    const { status, body } = await requested(http2Client(), { ':path': '/_ping' });
    expect(status).toBe(505);
    expect(body).toContain('use HTTP/1.1');
    expect(proxy.records[0]).toMatchObject({
      route: 'build.grpc',
      verdict: 'malformed',
      error: 'COFFERDAM_HTTP_VERSION',
      status: 505,
    });
    expect(engine.text).not.toContain('Solve');
    await expect.poll(() => engine.connections.every(({ ended }) => ended)).toBe(true);
  });

  it.each([
    ['is away', undefined],
    ['breaks the connection off', ''],
  ])('because it %s leaves them with a status that says: try again', async (_name, answer) => {
    let socket = join(temporaryFolder(), 'nobody.sock');
    if (answer !== undefined) {
      const engine = await startScriptedEngine(({ socket }) => void socket.destroy());
      undo.push(() => engine.stop());
      socket = engine.socket;
    }
    await startProxy(socket);
    expect(await refusal(http2Client())).toEqual({
      status: '14',
      message: expect.stringContaining('the Docker engine'),
    });
    expect(proxy.records).toMatchObject([{ verdict: 'failed', error: 'COFFERDAM_ENGINE_AWAY', status: 502 }]);
  });

  it('isn’t asked where a rule refuses builds', async () => {
    const seen: JudgedRequest[] = [];
    const noBuilds: Rule = {
      id: 'no-builds',
      summary: 'Refuses builds.',
      setting: 'none',
      whenIsolationIsOff: 'judges',
      routes: ['build.grpc'],
      judge: (request) => {
        seen.push(request);
        return [
          {
            kind: 'deny',
            rule: 'no-builds',
            field: 'path',
            reason: 'no builds here',
            setting: 'none',
            remedy: 'None.',
          },
        ];
      },
    };
    const { engine, client } = await start(echo, { rules: [noBuilds] });
    expect(await refusal(client)).toEqual({
      status: '7',
      message: expect.stringContaining('no builds here'),
    });
    await gone(client);
    expect(engine.sessions).toEqual([]);
    expect(seen).toMatchObject([{ route: { name: 'build.grpc' }, caller: { pid: process.pid } }]);
    expect(proxy.records).toMatchObject([{ verdict: 'denied', rules: ['no-builds'], status: 403 }]);
  });
});
