/** Stopping: what is under way finishes up to a limit, new requests are refused, and nothing is left behind. */
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { RawClient } from './raw-client.js';
import { type EngineSide, ok, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy, temporaryFolder } from './start.js';

let engine: ScriptedEngine;
let proxy: TestProxy;

afterEach(async () => {
  await proxy.stop();
  await engine.stop();
});

async function start(script: (side: EngineSide, index: number) => Promise<void>): Promise<RawClient> {
  engine = await startScriptedEngine(script);
  proxy = await startTestProxy(engine.socket);
  return new RawClient(proxy.socket);
}

const wait = 'POST /v1.45/containers/web/wait HTTP/1.1\r\nHost: docker\r\n\r\n';

describe('closing the proxy', () => {
  it('lets a request under way finish, and then closes its connection', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const client = await start(async (side) => {
      await side.untilText('\r\n\r\n');
      await released;
      side.socket.write(ok('finished'));
    });
    client.send(wait);
    await expect.poll(() => engine.connections.length).toBe(1);
    const closed = proxy.proxy.close({ drainMilliseconds: 5000 });
    const late = new RawClient(proxy.socket).send(wait);
    await late.until((client) => client.closed).catch(() => undefined);
    expect(late.text).toBe('');
    release();
    expect(await client.untilEnd()).toContain('finished');
    await closed;
    expect(existsSync(proxy.socket)).toBe(false);
  });

  it('breaks off what takes longer than the limit', async () => {
    const client = await start(async (side) => side.untilText('\r\n\r\n'));
    client.send(wait);
    await expect.poll(() => engine.connections.length).toBe(1);
    await proxy.proxy.close({ drainMilliseconds: 50 });
    expect(await client.untilEnd()).toBe('');
    await engine.connections[0]?.until(({ ended, closed }) => ended || closed);
  });

  it('lets a raw stream go on until it ends', async () => {
    const client = await start(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n');
      await side.untilText('exit');
      side.socket.end('bye');
    });
    client.send('POST /v1.45/containers/web/attach?stream=1 HTTP/1.1\r\nHost: docker\r\n\r\n');
    await client.untilText('\r\n\r\n');
    const closed = proxy.proxy.close({ drainMilliseconds: 5000 });
    client.send('exit').socket.end();
    expect(await client.untilEnd()).toMatch(/bye$/);
    await closed;
  });

  it('takes no request whose head is still coming in', async () => {
    const client = await start(async (side) => side.untilText('never'));
    const busy = new RawClient(proxy.socket).send(wait);
    await expect.poll(() => engine.connections.length).toBe(1);
    client.send('GET /_ping HTTP/1.1\r\nHost: docker\r\n');
    await new Promise((resolve) => setTimeout(resolve, 10));
    const closed = proxy.proxy.close({ drainMilliseconds: 100 });
    client.send('\r\n');
    expect(await client.untilEnd()).toBe('');
    expect(engine.text).not.toContain('_ping');
    await busy.untilEnd();
    await closed;
  });
});

describe('the listening socket', () => {
  it('replaces one that an ended process has left', async () => {
    engine = await startScriptedEngine(async () => undefined);
    const path = join(temporaryFolder(), 'docker.sock');
    const server =
      'require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    expect(spawnSync(process.execPath, ['-e', server, path]).signal).toBe('SIGKILL');
    expect(existsSync(path)).toBe(true);
    proxy = await startTestProxy(engine.socket, { listen: [path] });
    expect(statSync(path).isSocket()).toBe(true);
    const client = new RawClient(path);
    await client.send('nonsense\r\n\r\n').untilText('400');
    client.close();
  });

  it('is never taken from a process that answers on it', async () => {
    engine = await startScriptedEngine(async () => undefined);
    proxy = await startTestProxy(engine.socket);
    await expect(startTestProxy(engine.socket, { listen: [proxy.socket] })).rejects.toThrow('listens on');
  });

  it('never replaces another kind of file', async () => {
    engine = await startScriptedEngine(async () => undefined);
    proxy = await startTestProxy(engine.socket);
    await expect(startTestProxy(engine.socket, { listen: ['/etc/hostname'] })).rejects.toThrow(
      'not a socket',
    );
    await expect(startTestProxy(engine.socket, { listen: ['tcp://127.0.0.1:2375'] })).rejects.toThrow('unix');
  });
});
