/**
 * Registries for tests on loopback ports: Debian's docker-registry behind a door that counts connections, with or
 * without TLS and token authentication; and one that only writes down what it is asked.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

async function listen(server: Server | HttpServer, host: string): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Answers 404 to everything, and keeps the paths that it was asked for. */
export class AskedRegistry {
  readonly address: string;
  readonly paths: string[] = [];
  readonly #server: HttpServer;

  private constructor(server: HttpServer, address: string) {
    this.#server = server;
    this.address = address;
  }

  static async start(host = '127.0.0.1'): Promise<AskedRegistry> {
    let registry: AskedRegistry | undefined;
    const server = createHttpServer((request, response) => {
      const ping = request.url === '/v2/';
      if (!ping) registry?.paths.push(request.url ?? '');
      response.writeHead(ping ? 200 : 404, {
        'Content-Type': 'application/json',
        'Docker-Distribution-Api-Version': 'registry/2.0',
      });
      response.end(ping ? '{}' : '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown"}]}');
    });
    const port = await listen(server, host);
    registry = new AskedRegistry(server, `${host.includes(':') ? `[${host}]` : host}:${port}`);
    return registry;
  }

  /** The paths since the last call. */
  take(): readonly string[] {
    return this.paths.splice(0);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** A real registry behind a door that counts what comes in: connections, and pieces on those that are kept. */
export class CountedRegistry {
  readonly address: string;
  /** Connections and pieces of requests since the start: 0 more means that nothing reached it. */
  contacts = 0;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #door: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(address: string, folder: string, child: ChildProcess, door: Server) {
    this.address = address;
    this.#folder = folder;
    this.#child = child;
    this.#door = door;
  }

  static async start(): Promise<CountedRegistry> {
    const folder = mkdtempSync(join(tmpdir(), 'cofferdam-registry-'));
    const inner = await freePort();
    const configuration = [
      'version: 0.1',
      'log: { level: error, accesslog: { disabled: true } }',
      `storage: { filesystem: { rootdirectory: ${join(folder, 'data')} } }`,
      `http: { addr: "127.0.0.1:${inner}" }`,
    ].join('\n');
    writeFileSync(join(folder, 'config.yml'), configuration);
    const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
    let registry: CountedRegistry | undefined;
    const door = createServer({ allowHalfOpen: true }, (socket) => registry?.carry(socket, inner));
    const port = await listen(door, '127.0.0.1');
    registry = new CountedRegistry(`127.0.0.1:${port}`, folder, child, door);
    for (let waited = 0; !(await answers(inner)); waited += 20) {
      if (child.exitCode !== null || waited > 20_000) throw new Error('docker-registry does not start');
      await sleep(20);
    }
    return registry;
  }

  private carry(socket: Socket, port: number): void {
    this.contacts += 1;
    socket.on('data', () => {
      this.contacts += 1;
    });
    const inner = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    for (const end of [socket, inner]) {
      this.#sockets.add(end);
      end.on('error', () => {});
      end.on('close', () => {
        this.#sockets.delete(end);
        socket.destroy();
        inner.destroy();
      });
    }
    socket.pipe(inner);
    inner.pipe(socket);
  }

  /** Contacts while `step` runs. */
  async during(step: () => Promise<unknown>): Promise<number> {
    const before = this.contacts;
    await step();
    return this.contacts - before;
  }

  async close(): Promise<void> {
    this.#door.close();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, 'exit');
      this.#child.kill();
      await exit;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A port on 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server, '127.0.0.1');
  server.close();
  await once(server, 'close');
  return port;
}

/** Whether something listens on a port of 127.0.0.1. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
