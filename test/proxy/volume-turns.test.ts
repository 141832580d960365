/** What a volume is doesn't change between its look-up and what the engine does with it as host root. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rules } from '../../src/rules/index.js';
import { RawClient } from './raw-client.js';
import { type EngineSide, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { engineFacts, startTestProxy, type TestProxy } from './start.js';

let engine: ScriptedEngine;
let proxy: TestProxy;
let clients: RawClient[];

beforeEach(async () => {
  clients = [];
  engine = await startScriptedEngine(() => undefined);
  const nothing = () => undefined;
  proxy = await startTestProxy(engine.socket, {
    rules: rules.filter(({ id }) => id === 'runtime'),
    facts: {
      engine: () => engineFacts,
      resolve: () =>
        Promise.resolve({
          ...{ container: nothing, image: nothing, volume: nothing, network: nothing },
          ...{ exec: nothing, path: nothing, hostRoutes: [] },
        }),
      changing: () => () => undefined,
      noteExec: () => undefined,
    },
  });
});
afterEach(async () => {
  for (const client of clients) client.close();
  await proxy.stop();
  await engine.stop();
});

function post(path: string, value: unknown): RawClient {
  const body = JSON.stringify(value);
  const client = new RawClient(proxy.socket);
  clients.push(client);
  const head = `POST /v1.45${path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json`;
  return client.send(`${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
}

const container = (name: string, bind: string) =>
  post(`/containers/create?name=${name}`, { Image: 'busybox', HostConfig: { Binds: [bind] } });
const hostVolume = (name: string) =>
  post('/volumes/create', { Name: name, DriverOpts: { type: 'none', o: 'bind', device: '/home/me' } });

/** The engine's side of the request that holds this text. */
async function arrived(text: string): Promise<EngineSide> {
  await expect.poll(() => engine.text).toContain(text);
  const side = engine.connections.find((one) => one.text.includes(text));
  if (side === undefined) throw new Error(`${text} came and went`);
  return side;
}

function answer({ socket }: EngineSide, body: string): void {
  const head = 'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nConnection: close';
  socket.end(`${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
}
const created = (digit: string) => `{"Id":"${digit.repeat(64)}","Warnings":[]}`;

describe('a volume made of a host folder', () => {
  it('waits until the engine is done with a container that has a volume of that name', async () => {
    container('first', 'data:/data');
    const side = await arrived('name=first');
    const made = hostVolume('data');
    // Another volume's turn comes at once: by then the first one would have come as well.
    hostVolume('other');
    await arrived('"other"');
    expect(engine.text).not.toContain('"Name":"data"');
    answer(side, created('1'));
    answer(await arrived('"Name":"data"'), '{"Name":"data"}');
    expect((await made.untilText('"Name":"data"')).text).toContain('201 Created');
  });

  it('is seen through for those who wait, although its client has gone', async () => {
    const gone = hostVolume('data');
    const side = await arrived('"Name":"data"');
    gone.close();
    container('second', 'data:/data');
    container('third', 'free:/data');
    await arrived('name=third');
    expect(engine.text).not.toContain('name=second');
    expect(side.closed).toBe(false);
    answer(side, '{"Name":"data"}');
    answer(await arrived('name=second'), created('2'));
  });

  it('counts when a mount of a container makes it, too', async () => {
    container('first', 'data:/data');
    const side = await arrived('name=first');
    const options = { type: 'none', o: 'bind', device: '/home/me' };
    const mount = { Type: 'volume', Source: 'data', Target: '/d', VolumeOptions: {} };
    post('/containers/create?name=second', {
      Image: 'busybox',
      HostConfig: {
        Mounts: [{ ...mount, VolumeOptions: { DriverConfig: { Name: 'local', Options: options } } }],
      },
    });
    container('third', 'free:/data');
    await arrived('name=third');
    expect(engine.text).not.toContain('name=second');
    answer(side, created('1'));
    await arrived('name=second');
  });
});

it('containers with one volume are made side by side', async () => {
  container('first', 'data:/data');
  container('second', 'data:/data');
  await Promise.all([arrived('name=first'), arrived('name=second')]);
});
