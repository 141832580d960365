/**
 * The daemon's control socket, `<run-dir>/control.sock`: HTTP with JSON, for `cofferdam status`, `isolation` and
 * for health checks. Who may connect is decided by the socket's owner, group and mode, which are those of the
 * Docker socket; who asks is known from the kernel. Containers never see this socket.
 *
 *     GET  /status      the daemon in full
 *     GET  /healthz     200 while the daemon works
 *     GET  /readyz      200 while it can protect what it is asked for, else 503
 *     GET  /metrics     Prometheus text
 *     POST /isolation   {"value": true | false | null}
 */
import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ListenOptions, Socket } from 'node:net';
import { z } from 'zod';
import { peerCredentials } from '../system/peer-credentials.js';
import { descriptorOf } from '../system/socket-descriptor.js';
import type { Caller } from '../uid-allocator/record.js';
import { type SwitchPlace, switchIsolation } from './isolation.js';
import { controlPath } from './path.js';
import { isReady, type Status } from './status.js';

/** Enough for every request that is answered here. */
const maximumBodyBytes = 4096;

export interface ControlOptions extends SwitchPlace {
  readonly runDir: string;
  /** Owner group and mode of the Docker socket, which the control socket shares. */
  readonly group: number;
  readonly mode: number;
  /** Asks engine, ledger and settings for the state of things. */
  readonly status: () => Promise<Status>;
  /** Whether the daemon can protect what it is asked for: cheaper than everything. */
  readonly ready: () => Promise<Status['ready']>;
  /** The metrics in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
}

export interface Control {
  readonly path: string;
  close(): Promise<void>;
}

const isolationRequestSchema = z.strictObject({ value: z.boolean().nullable() });

function callerOf(socket: Socket): Caller {
  return peerCredentials(descriptorOf(socket));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > maximumBodyBytes) throw new Error('the request is too large');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString();
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function postIsolation(options: ControlOptions, request: IncomingMessage): Promise<Answer> {
  const caller = callerOf(request.socket);
  let value: boolean | null;
  try {
    value = isolationRequestSchema.parse(JSON.parse(await readBody(request))).value;
  } catch {
    return { status: 400, body: { message: 'the body must be {"value": true}, false or null' } };
  }
  const outcome = switchIsolation(options, caller, value ?? undefined);
  return { status: outcome.switched ? 200 : 403, body: { message: outcome.message } };
}

/** What can be asked without being known: nothing here changes anything or names a container. */
type HealthSources = Pick<ControlOptions, 'ready' | 'metrics'>;

async function answerHealth(sources: HealthSources, request: IncomingMessage): Promise<Answer> {
  switch (`${request.method} ${request.url}`) {
    case 'GET /healthz':
      return { status: 200, body: 'ok\n' };
    case 'GET /readyz': {
      const ready = await sources.ready();
      return { status: isReady(ready) ? 200 : 503, body: ready };
    }
    case 'GET /metrics':
      return { status: 200, body: await sources.metrics() };
    default:
      return { status: 404, body: { message: 'there is no such thing here' } };
  }
}

async function answer(options: ControlOptions, request: IncomingMessage): Promise<Answer> {
  switch (`${request.method} ${request.url}`) {
    case 'GET /status':
      return { status: 200, body: await options.status() };
    case 'POST /isolation':
      return postIsolation(options, request);
    default:
      return answerHealth(options, request);
  }
}

function send(response: ServerResponse, { status, body }: Answer): void {
  const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`;
  const type = typeof body === 'string' ? 'text/plain; version=0.0.4; charset=utf-8' : 'application/json';
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

function listen(server: Server, address: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, resolve);
  });
}

/** A server whose answers come from a function; what that throws is a 500 with its message. */
function serve(find: (request: IncomingMessage) => Promise<Answer>): Server {
  return createServer((request, response) => {
    find(request).then(
      (found) => send(response, found),
      (error: unknown) => {
        send(response, {
          status: 500,
          body: { message: error instanceof Error ? error.message : String(error) },
        });
      },
    );
  });
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Serves metrics and health on a loopback address, `HOST:PORT`. Throws the system's error. */
export async function startHealthPort(
  address: string,
  sources: HealthSources,
): Promise<{ close(): Promise<void> }> {
  const { hostname, port } = new URL(`http://${address}`);
  const server = serve((request) => answerHealth(sources, request));
  await listen(server, { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 80 });
  return { close: () => stop(server) };
}

/**
 * Opens the control socket. Throws the system's error when it can't be made.
 * A socket left by a daemon that was killed is replaced.
 */
export async function startControl(options: ControlOptions): Promise<Control> {
  const path = controlPath(options.runDir);
  const server = serve((request) => answer(options, request));
  mkdirSync(options.runDir, { recursive: true, mode: 0o755 });
  rmSync(path, { force: true });
  // Nobody can connect between the socket's birth and its final owner and mode.
  const before = process.umask(0o177);
  try {
    await listen(server, { path });
  } finally {
    process.umask(before);
  }
  chownSync(path, process.geteuid?.() ?? 0, options.group);
  chmodSync(path, options.mode);
  return {
    path,
    close: () => stop(server),
  };
}
