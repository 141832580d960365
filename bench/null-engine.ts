/**
 * An engine that does nothing, as fast as Node can: what remains of a request's time is the proxy's own. Answers
 * what cofferdam asks an engine at its start, endless events, bulk both ways, and hijacked streams that echo.
 *   tsx bench/null-engine.ts SOCKET LAUNCHER
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const [socket = '', launcher = ''] = process.argv.slice(2);
// The daemon looks at dockerd's environment for whether builds are isolated, and keeps looking until they are.
process.title = 'dockerd';
const containerId = 'c'.repeat(64);
const imageId = `sha256:${'1'.repeat(64)}`;
const block = Buffer.alloc(1024 * 1024, 'x');

const version = {
  Version: '28.5.2',
  ApiVersion: '1.51',
  MinAPIVersion: '1.24',
  Os: 'linux',
  Arch: 'amd64',
  KernelVersion: '6.1.0',
  Components: [{ Name: 'Engine', Version: '28.5.2', Details: {} }],
};
const info = {
  ID: 'null',
  ServerVersion: '28.5.2',
  Driver: 'overlay2',
  DockerRootDir: '/nonexistent',
  DefaultRuntime: 'sysbox-runc',
  Runtimes: { runc: { path: 'runc' }, 'sysbox-runc': { path: launcher } },
  Swarm: { LocalNodeState: 'inactive', ControlAvailable: false },
  SecurityOptions: [],
  OSType: 'linux',
  CgroupVersion: '2',
};
const container = {
  Id: containerId,
  Name: '/null',
  Created: '2025-01-01T00:00:00Z',
  Image: imageId,
  State: { Status: 'running', Running: true, Pid: process.pid },
  Config: { Image: 'null', Env: [], Labels: {}, Volumes: null },
  HostConfig: { Runtime: 'sysbox-runc', NetworkMode: 'none', Binds: null, Mounts: null },
  Mounts: [],
  NetworkSettings: { Networks: {} },
};
const image = {
  Id: imageId,
  RepoTags: ['null:latest'],
  RepoDigests: [],
  Config: { Env: [], Volumes: null },
  RootFS: { Type: 'layers', Layers: [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`] },
  Size: 1,
};
/** The image that the other one is built on. */
const parent = {
  ...image,
  Id: `sha256:${'2'.repeat(64)}`,
  RepoTags: ['parent:latest'],
  RootFS: { Type: 'layers', Layers: [`sha256:${'a'.repeat(64)}`] },
};

function json(response: ServerResponse, value: unknown, status = 200): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** `size` bytes, as the name of an image to save says: with a Content-Length (`length-N`) or in chunks (`chunks-N`). */
function download(response: ServerResponse, size: number, chunked: boolean): void {
  response.writeHead(200, {
    'Content-Type': 'application/x-tar',
    ...(chunked ? {} : { 'Content-Length': size }),
  });
  let left = size;
  const fill = (): void => {
    while (left > 0) {
      const piece = left < block.length ? block.subarray(0, left) : block;
      left -= piece.length;
      if (!response.write(piece)) {
        response.once('drain', fill);
        return;
      }
    }
    response.end();
  };
  fill();
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  // Go's server doesn't say that a connection stays open.
  if (request.headers.connection === undefined) response.removeHeader('connection');
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://docker');
  const path = pathname.replace(/^\/v1\.\d+/, '');
  const bulk = /^(length|chunks)-(\d+)$/.exec(searchParams.get('names') ?? '');
  if (path === '/_ping') {
    response.writeHead(200, {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': 2,
      'Api-Version': '1.51',
    });
    response.end('OK');
  } else if (path === '/images/get' && bulk) {
    download(response, Number(bulk[2]), bulk[1] === 'chunks');
  } else if (path === '/images/load') {
    request.resume().on('end', () => json(response, { stream: 'loaded' }));
  } else if (path === '/events') {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
  } else if (path === '/version') json(response, version);
  else if (path === '/info') json(response, info);
  else if (path === '/containers/json' || path === '/networks') json(response, []);
  else if (path === '/images/json') json(response, [image, parent]);
  else if (/^\/images\/parent.*\/json$/.test(path)) json(response, parent);
  else if (/^\/containers\/[^/]+\/json$/.test(path)) json(response, container);
  else if (/^\/images\/.+\/json$/.test(path)) json(response, image);
  else if (path === '/containers/create')
    request
      .resume()
      .on('end', () => json(response, { Id: randomBytes(32).toString('hex'), Warnings: [] }, 201));
  else {
    response.writeHead(404, { 'Content-Type': 'application/json' });
    response.end('{"message":"the null engine has no such thing"}');
  }
}

function echo(_: IncomingMessage, stream: Duplex): void {
  stream.on('error', () => {});
  stream.write(
    'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
  );
  stream.pipe(stream);
}

const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, answer);
server.on('upgrade', echo);
server.listen({ path: socket, backlog: 4096 });
process.on('SIGTERM', () => process.exit(0));
