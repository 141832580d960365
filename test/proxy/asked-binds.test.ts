/** What a client asked for in `Binds` is what it is shown again; every other answer passes as the engine wrote it. */
import { describe, expect, test } from 'vitest';
import { withAskedBinds } from '../../src/proxy/asked-binds.js';
import type { AskedBinds, ContainerRecord } from '../../src/uid-allocator/record.js';
import { RawClient } from './raw-client.js';
import { startScriptedEngine } from './scripted-engine.js';
import { startTestProxy } from './start.js';

const id = '0123456789abcdef'.repeat(4);
const pinned = (target: string) => ({ Type: 'bind', Source: `/srv${target}`, Target: target });
const point = (target: string, type = 'bind') => ({ Type: type, Destination: target, Mode: '', RW: true });

function inspect(hostConfig: object, ...points: object[]): string {
  return `${JSON.stringify({ Id: id, Created: 'x', HostConfig: hostConfig, Mounts: points, Config: {} })}\n`;
}

function shown(content: string, asked: AskedBinds = { binds: ['/srv/a:/a:ro'], mounts: 0 }) {
  return withAskedBinds(Buffer.from(content), (container) => (container === id ? asked : undefined));
}

describe('binds', () => {
  test('are among Binds, with volumes where they were, and not among Mounts', () => {
    const sent = inspect(
      { Memory: 0, Binds: ['data:/d'], Init: true, Mounts: [pinned('/a'), pinned('/b')] },
      point('/a'),
      point('/b'),
      point('/d', 'volume'),
    );
    const binds = ['/srv/a:/a/:ro', 'data:/d', '/srv/b:/b'];
    expect(shown(sent, { binds, mounts: 0 })?.toString()).toBe(
      inspect(
        { Memory: 0, Binds: binds, Init: true },
        { ...point('/a'), Mode: 'ro' },
        point('/b'),
        point('/d', 'volume'),
      ),
    );
  });

  test('leave mounts of the client’s own, and go where only another container’s were taken over', () => {
    const sent = inspect({ Binds: null, Mounts: [pinned('/own'), pinned('/taken')] }, point('/taken'));
    expect(shown(sent, { binds: [], mounts: 1 })?.toString()).toBe(
      inspect({ Binds: null, Mounts: [pinned('/own')] }, point('/taken')),
    );
  });

  test('numbers that a double can’t hold stay what they are', () => {
    const sent = inspect({ Binds: null, Memory: 1, Mounts: [pinned('/a')] }).replace(
      ':1',
      ':9223372036854775807',
    );
    expect(shown(sent)?.toString()).toContain('"Memory":9223372036854775807');
  });

  test.each([
    ['of another container', inspect({ Binds: null }).replace(id, 'f'.repeat(64))],
    ['that is cut off', inspect({ Binds: null }).slice(0, 100)],
    ['of another form', `{"Id":"${id}"}\n`],
    ['that begins otherwise', `{"Created":"x","Id":"${id}"}\n`],
  ])('an answer %s stays as it is', (_, sent) => {
    expect(shown(sent)).toBeUndefined();
  });

  test('a container that was made otherwise is shown as it is', () => {
    const sent = Buffer.from(inspect({ Binds: ['/srv/a:/a'] }));
    expect(withAskedBinds(sent, () => undefined)).toBeUndefined();
  });
});

const record: ContainerRecord = {
  version: 1,
  id,
  range: { base: 100_000, size: 65_536 },
  mounts: [],
  asked: { binds: ['/srv/a:/a:ro'], mounts: 0 },
  socketGrant: false,
  createdAt: 0,
  token: 't',
};

describe('on the wire', () => {
  const padding = 'x'.repeat(2 << 20);
  const engineWrote = inspect({ Binds: null, Mounts: [pinned('/a')] }, point('/a'));
  const clientSees = inspect({ Binds: ['/srv/a:/a:ro'] }, { ...point('/a'), Mode: 'ro' });
  const long = engineWrote.replace('"Created":"x"', `"Created":"${padding}"`);

  const withLength = (text: string): string => `Content-Length: ${text.length}\r\n\r\n${text}`;
  const inChunks = (...texts: string[]): string =>
    `Transfer-Encoding: chunked\r\n\r\n${texts.map((text) => `${text.length.toString(16)}\r\n${text}\r\n`).join('')}0\r\n\r\n`;
  const halves = (text: string): [string, string] => [text.slice(0, 100), text.slice(100)];

  test.each([
    ['with a length', withLength(engineWrote), withLength(clientSees)],
    ['in chunks', inChunks(...halves(engineWrote)), inChunks(clientSees)],
    ['longer than is kept in memory, with a length', withLength(long), withLength(long)],
    ['longer than is kept in memory, in chunks', inChunks(...halves(long)), inChunks(...halves(long))],
  ])('an answer %s', async (_, wrote, sees) => {
    const engine = await startScriptedEngine(async (side) => {
      await side.untilText('\r\n\r\n');
      side.socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${wrote}`);
    });
    const unused = () => {
      throw new Error('nothing is made here');
    };
    const read = (container: string) => (container === id ? record : undefined);
    const proxy = await startTestProxy(engine.socket, {
      ledger: { intend: unused, settle: unused, abandon: unused, read },
    });
    const client = new RawClient(proxy.socket);
    try {
      client.send('GET /v1.45/containers/web/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      const answer = (await client.untilEnd()).replace('Connection: close\r\n', '');
      expect(answer).toBe(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${sees}`);
    } finally {
      client.close();
      await proxy.stop();
      await engine.stop();
    }
  });
});
