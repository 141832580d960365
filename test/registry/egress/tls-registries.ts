/**
 * Registries with names and TLS for tests of the egress proxy: docker-registry behind doors that speak TLS with a
 * certificate for any `*.test` name, count what reaches them, and redirect downloads of layers on request.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CountedRegistry } from '../registries.js';

/** An authority and a certificate of it for a few names. */
export class TestAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), 'cofferdam-authority-'));
  readonly key: Buffer;
  readonly certificate: Buffer;

  constructor(names: readonly string[]) {
    const [key, certificate] = [join(this.folder, 'key.pem'), join(this.folder, 'ca.crt')];
    const alternatives = `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`;
    const options = [
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=test',
      '-addext',
      alternatives,
    ];
    execFileSync('openssl', ['req', '-x509', ...options, '-keyout', key, '-out', certificate], {
      stdio: 'ignore',
    });
    this.key = readFileSync(key);
    this.certificate = readFileSync(certificate);
  }

  /** A folder like /etc/docker/certs.d that trusts this authority for a few registries. */
  certificatesFor(...addresses: readonly string[]): string {
    const folder = join(this.folder, 'certs.d');
    for (const address of addresses) {
      mkdirSync(join(folder, address), { recursive: true });
      copyFileSync(join(this.folder, 'ca.crt'), join(folder, address, 'ca.crt'));
    }
    return folder;
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A TLS door in front of a registry; it counts connections. */
export class TlsDoor {
  readonly address: string;
  connections = 0;
  /** Where downloads of layers are sent to instead of being served. */
  redirectTo: string | undefined;
  readonly #server: Server;

  private constructor(address: string, server: Server) {
    this.address = address;
    this.#server = server;
  }

  static async open(name: string, authority: TestAuthority, registry: CountedRegistry): Promise<TlsDoor> {
    let door: TlsDoor | undefined;
    const server = createServer({ key: authority.key, cert: authority.certificate }, (asked, answer) =>
      door?.carry(asked, answer, registry),
    );
    server.on('connection', () => {
      if (door !== undefined) door.connections += 1;
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    door = new TlsDoor(`${name}:${(server.address() as AddressInfo).port}`, server);
    return door;
  }

  private carry(asked: IncomingMessage, answer: ServerResponse, registry: CountedRegistry): void {
    const path = asked.url ?? '';
    if (this.redirectTo !== undefined && /\/blobs\/sha256:/.test(path) && asked.method === 'GET') {
      answer.writeHead(307, { location: `https://${this.redirectTo}${path}` }).end();
      return;
    }
    const [host, port] = registry.address.split(':');
    const headers = { ...asked.headers, 'x-forwarded-proto': 'https' };
    const inner = request({ host, port, path, method: asked.method, headers }, (given) => {
      answer.writeHead(given.statusCode ?? 502, given.headers);
      given.pipe(answer);
    });
    inner.on('error', () => answer.destroy());
    asked.pipe(inner);
  }

  /** Connections while `step` runs. */
  async during(step: () => Promise<unknown>): Promise<number> {
    const before = this.connections;
    await step();
    return this.connections - before;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** An address of the Internet's documentation range stands for each name; only the last step goes to loopback. */
export const namedOnLoopback = {
  resolve: async (name: string): Promise<readonly string[]> => {
    if (name.endsWith('.test')) return [name.startsWith('inner') ? '10.1.2.3' : '198.51.100.7'];
    throw new Error(`${name} is not known`);
  },
  dial: (_address: string, port: number): Socket => connect({ host: '127.0.0.1', port, allowHalfOpen: true }),
};
