/** The proxy itself, asked by raw clients: which connections it opens, to whom, and what it says when it doesn't. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addressKind } from '../../../src/daemon/egress.js';
import { runCommand } from '../../../src/engine/embedded/command.js';
import { Egress } from '../../../src/registry/egress/egress.js';
import { RedirectMemory } from '../../../src/registry/egress/redirects.js';
import { type Settings, settingsSchema } from '../../../src/settings/schema.js';

const folder = mkdtempSync(join(tmpdir(), 'cofferdam-egress-'));
const refusals: string[] = [];
/** Addresses and ports that were dialled. */
const dialled: string[] = [];
const names = new Map<string, readonly string[]>();
const settings: { current: Settings } = { current: settingsSchema.parse({}) };
let egress: Egress;
let server: Server;
let port = 0;
let seen: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.headers.host}${request.url} ${request.headers['x-extra'] ?? '-'}`);
    if (request.url === '/away') response.writeHead(307, { location: 'http://cdn.example/blob' });
    if (request.url === '/token') {
      response.writeHead(401, {
        'www-authenticate': 'Bearer realm="https://auth.example/token",service="x"',
      });
    }
    response.end('served');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  egress = await Egress.start({
    port: 0,
    settings,
    stateFile: join(folder, 'redirects.json'),
    imageNames: async () => [],
    onRefused: (text) => refusals.push(text),
    connector: {
      kindOf: addressKind,
      resolve: async (name) => names.get(name) ?? Promise.reject(new Error('no such name')),
      dial: (address, wanted) => {
        dialled.push(`${address}:${wanted}`);
        return connect({ host: '127.0.0.1', port, allowHalfOpen: true });
      },
    },
  });
});

afterAll(async () => {
  await egress?.close();
  server?.closeAllConnections();
  server?.close();
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  refusals.length = 0;
  dialled.length = 0;
  seen = [];
  names.clear();
  names.set('registry.example', ['198.51.100.1']);
  list('registry.example');
});

function list(...addresses: readonly string[]): void {
  settings.current = settingsSchema.parse({
    registryAccess: {
      value: true,
      egress: true,
      registries: addresses.filter((one) => !one.includes('//')).map((address) => ({ address })),
      urls: addresses.filter((one) => one.includes('//')),
    },
  });
}

/** Sends a head to the proxy and reads the first line of its answer. */
async function ask(head: string): Promise<{ readonly line: string; readonly socket: Socket }> {
  const socket = connect({ host: '127.0.0.1', port: egress.port });
  socket.on('error', () => {});
  socket.write(head);
  const [bytes] = await once(socket, 'data');
  return { line: String(bytes).split('\r\n')[0] ?? '', socket };
}

async function tunnelTo(target: string): Promise<string> {
  const { line, socket } = await ask(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  socket.destroy();
  return line;
}

const opened = 'HTTP/1.1 200 Connection established';

describe('where it leads', () => {
  test('to a listed registry, at the address that was judged', async () => {
    expect(await tunnelTo('registry.example:443')).toBe(opened);
    expect(await tunnelTo('REGISTRY.example.:443')).toBe(opened);
    expect(dialled).toEqual(['198.51.100.1:443', '198.51.100.1:443']);
  });

  test.each([
    'other.example:443',
    'registry.example:80',
    'registry.example:22',
    'registry.example.evil.example:443',
    'sub.registry.example:443',
    '198.51.100.1:443',
    '[2001:4860::1]:443',
    '127.0.0.1:443',
    '127.1:443',
    '0x7f000001:443',
    '2130706433:443',
    'localhost:443',
    'metadata.google.internal:80',
  ])('not to %s', async (target) => {
    expect(await tunnelTo(target)).toMatch(/^HTTP\/1\.1 403 registry access to /);
    expect(dialled).toEqual([]);
    expect(refusals).toHaveLength(1);
  });

  test.each([
    '',
    'x',
    'a b:443',
    'registry.example:0',
    'registry.example:99999',
    'u@registry.example:443',
    '*:443',
  ])('a target that is none: %s', async (target) => {
    expect(await tunnelTo(target)).toMatch(/^HTTP\/1\.1 40[03] /);
    expect(dialled).toEqual([]);
  });

  test('an address, when it is listed as one', async () => {
    list('10.0.0.5:5000', '[fd00::5]:5000');
    expect(await tunnelTo('10.0.0.5:5000')).toBe(opened);
    expect(await tunnelTo('[FD00:0::5]:5000')).toBe(opened);
    expect(await tunnelTo('10.0.0.6:5000')).toContain('403');
    expect(dialled).toEqual(['10.0.0.5:5000', 'fd00::5:5000']);
  });

  test.each([
    [['10.1.2.3'], opened],
    [['127.0.0.1'], '403'],
    [['169.254.169.254'], '403'],
    [['::ffff:10.1.2.3'], '403'],
    [['::1'], '403'],
    [['0.0.0.0'], '403'],
    [['fd00::7'], opened],
    [['64:ff9b::a01:203'], '403'],
  ])('a listed name that leads to %j', async (addresses, answer) => {
    names.set('registry.example', addresses);
    expect(await tunnelTo('registry.example:443')).toContain(answer);
  });

  test('of several addresses only those that are allowed', async () => {
    names.set('registry.example', ['127.0.0.1', '198.51.100.9', '::1']);
    expect(await tunnelTo('registry.example:443')).toBe(opened);
    expect(dialled).toEqual(['198.51.100.9:443']);
  });

  test('a name without an address is the network’s fault, not the list’s', async () => {
    names.clear();
    expect(await tunnelTo('registry.example:443')).toContain('502');
    expect(refusals).toEqual([]);
  });

  test('the hosts of listed addresses', async () => {
    list('https://github.com/**', 'https://*.git.example:8443/team/**', 'https://**');
    names.set('github.com', ['198.51.100.2']);
    expect(await tunnelTo('github.com:443')).toBe(opened);
    names.set('a.git.example', ['10.0.0.1']);
    expect(await tunnelTo('a.git.example:8443')).toBe(opened);
    names.set('anything.example', ['10.0.0.1']);
    expect(await tunnelTo('anything.example:443')).toContain('403');
    names.set('anything.example', ['198.51.100.3']);
    expect(await tunnelTo('anything.example:443')).toBe(opened);
  });

  test('Docker Hub by any of its names', async () => {
    list('docker.io');
    for (const name of ['registry-1.docker.io', 'index.docker.io', 'docker.io']) {
      names.set(name, ['198.51.100.4']);
      expect(await tunnelTo(`${name}:443`)).toBe(opened);
    }
    expect(await tunnelTo('hub.docker.com:443')).toContain('403');
  });

  test('everywhere while no list is in force, and while one only warns', async () => {
    names.set('other.example', ['127.0.0.1']);
    settings.current = settingsSchema.parse({ registryAccess: { egress: true } });
    expect(await tunnelTo('other.example:443')).toBe(opened);
    settings.current = settingsSchema.parse({ registryAccess: { value: true, mode: 'warn', egress: true } });
    expect(await tunnelTo('other.example:443')).toBe(opened);
  });

  test('for nobody but root', async () => {
    const argv = [
      '-c',
      `exec 3<>/dev/tcp/127.0.0.1/${egress.port}; printf 'CONNECT registry.example:443 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3; head -1 <&3`,
    ];
    const asked = await runCommand('setpriv', [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      'bash',
      ...argv,
    ]);
    expect(asked.stdout).toContain('403 this proxy serves the engine only');
    expect(dialled).toEqual([]);
  });
});

describe('what goes through a tunnel', () => {
  const handshake = async (servername: string): Promise<string> => {
    const { line, socket } = await ask('CONNECT registry.example:443 HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(line).toBe(opened);
    const client = connectTls({ socket, servername });
    return new Promise((resolve) => {
      client.on('error', ({ message }) => resolve(message));
      client.on('secureConnect', () => resolve('connected'));
    });
  };

  test('TLS for the very name that was asked for', async () => {
    // The server behind it speaks no TLS: that it answers shows that the ClientHello reached it.
    expect(await handshake('registry.example')).toMatch(/packet length|wrong version|SSL routines/);
    expect(refusals).toEqual([]);
  });

  test('never TLS for another name, nor anything else', async () => {
    expect(await handshake('other.example')).toMatch(/socket disconnected|ECONNRESET/);
    expect(refusals).toEqual([
      'registry.example:443: TLS asks for other.example where the connection was asked for registry.example',
    ]);
    const { socket } = await ask('CONNECT registry.example:443 HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.write('GET / HTTP/1.1\r\nHost: other.example\r\n\r\n');
    await once(socket, 'close');
    expect(seen).toEqual([]);
  });
});

describe('requests without TLS', () => {
  const get = async (target: string, host: string, extra = ''): Promise<string> => {
    const { line, socket } = await ask(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${extra}\r\n`);
    socket.destroy();
    return line;
  };

  test('reach a listed registry, without the fields of the connection', async () => {
    const extra = 'Connection: close, X-Extra\r\nX-Extra: 1\r\nProxy-Authorization: Basic eA==\r\n';
    expect(await get('http://registry.example/v2/?a=b', 'registry.example', extra)).toContain('200');
    expect(seen).toEqual(['GET registry.example/v2/?a=b -']);
  });

  test('are refused for others, for another Host, and in another form', async () => {
    expect(await get('http://other.example/v2/', 'other.example')).toContain('403');
    expect(await get('http://registry.example/v2/', 'other.example')).toContain('400');
    expect(await get('https://registry.example/v2/', 'registry.example')).toContain('400');
    expect(await get('/v2/', 'registry.example')).toContain('400');
    expect(seen).toEqual([]);
  });

  test('teach where the registry sends its clients; what is off the list teaches nothing', async () => {
    names.set('cdn.example', ['198.51.100.5']);
    names.set('auth.example', ['10.0.0.1']);
    expect(await get('http://cdn.example/blob', 'cdn.example')).toContain('403');
    expect(await get('http://registry.example/away', 'registry.example')).toContain('307');
    expect(await get('http://cdn.example/away', 'cdn.example')).toContain('307');
    expect(await get('http://registry.example/token', 'registry.example')).toContain('401');
    // Learnt, but in a private network: that must be listed.
    expect(await tunnelTo('auth.example:443')).toContain('403');
    expect(await tunnelTo('cdn.example:443')).toContain('403');
    list();
    expect(await get('http://cdn.example/blob', 'cdn.example')).toContain('403');
    const kept = JSON.parse(readFileSync(join(folder, 'redirects.json'), 'utf8'));
    expect(Object.keys(kept.registries)).toEqual(['registry.example:80']);
    expect(Object.keys(kept.registries['registry.example:80'])).toEqual([
      'cdn.example:80',
      'auth.example:443',
    ]);
  });
});

test('what was learnt outlives a restart, for a day, and is never more than a few hosts', () => {
  let now = 1_000_000_000_000;
  const file = join(folder, 'memory.json');
  const memory = new RedirectMemory(file, () => now);
  memory.learn(
    'registry.example:443',
    Array.from({ length: 100 }, (_, index) => `cdn${index}.example:443`),
  );
  const again = new RedirectMemory(file, () => now);
  expect(again.sourcesOf('cdn99.example:443')).toEqual(['registry.example:443']);
  expect(again.sourcesOf('cdn0.example:443')).toEqual([]);
  now += 25 * 3600 * 1000;
  expect(again.sourcesOf('cdn99.example:443')).toEqual([]);
});
