/**
 * The engine's way out: an HTTP proxy on a loopback port, which dockerd is told to use. It opens connections to listed
 * registries and to where they redirect, and to nothing else, so that a door to a registry that nobody judged leads
 * nowhere. Only root's processes of this host are served. What it can't see: connections that dockerd makes without
 * its proxy, which are those to loopback addresses (golang.org/x/net/http/httpproxy, `useProxy`).
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Settings } from '../../settings/schema.js';
import { tcpPeerUid } from '../../system/tcp-peer.js';
import type { Reference } from '../reference.js';
import { type Authority, parseAuthority } from './authority.js';
import { Connector, type ConnectorOptions, EgressProblem } from './connector.js';
import { type Destination, isListedKey, judgeDestination, type Scheme, type Trust } from './destinations.js';
import { Learner } from './learner.js';
import { carryPlain, plainTarget } from './plain-request.js';
import { RedirectMemory } from './redirects.js';
import { Samples } from './samples.js';
import { carryBytes, carryTls } from './tunnel.js';

export interface EgressOptions {
  /** Port on 127.0.0.1; 0 takes any. */
  readonly port: number;
  readonly settings: { readonly current: Settings };
  /** Where redirects are remembered. */
  readonly stateFile: string;
  /** Names of the images in the engine's store. */
  readonly imageNames: () => Promise<readonly string[]>;
  /** Told of every connection that wasn't opened because of the settings. */
  readonly onRefused: (text: string) => void;
  readonly connector: ConnectorOptions;
  readonly certificates?: string;
}

/** How long after its last connection a registry counts as being talked to, in milliseconds. */
const talkMilliseconds = 600_000;

export class Egress {
  readonly #options: EgressOptions;
  readonly #server: Server;
  readonly #connector: Connector;
  readonly #memory: RedirectMemory;
  readonly #learner: Learner;
  readonly #samples: Samples;
  readonly #sockets = new Set<Socket>();
  /** Registries that the engine has connected to, and when. */
  readonly #talks = new Map<string, { readonly registry: Authority; readonly at: number }>();

  private constructor(options: EgressOptions) {
    this.#options = options;
    this.#connector = new Connector(options.connector);
    this.#memory = new RedirectMemory(options.stateFile);
    this.#samples = new Samples(options.settings, options.imageNames);
    this.#learner = new Learner({
      memory: this.#memory,
      connector: this.#connector,
      samples: (registry) => this.#samples.of(registry),
      trustOf: (place) => this.#trustOf(place),
      ...(options.certificates === undefined ? {} : { certificates: options.certificates }),
    });
    this.#server = createServer((request, response) => void this.#plain(request, response));
    // Pushes and pulls take as long as they take.
    this.#server.requestTimeout = 0;
    this.#server.on('connect', (request, socket, head) => {
      void this.#connect(request, socket as Socket, head);
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** Starts to listen. @throws when the port is taken */
  static async start(options: EgressOptions): Promise<Egress> {
    const egress = new Egress(options);
    egress.#server.listen(options.port, '127.0.0.1');
    await once(egress.#server, 'listening');
    return egress;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A client was allowed to pull or push: its registry can be asked about this image, with these credentials. */
  note(reference: Reference, registryAuth: string | undefined): void {
    this.#samples.note(reference, registryAuth);
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await this.#learner.close();
  }

  async #connect(request: IncomingMessage, client: Socket, head: Buffer): Promise<void> {
    const authority = parseAuthority(request.url ?? '', 443);
    if (authority === undefined) return refuse(client, 400, 'no host and port');
    try {
      const destination = await this.#judge(authority, 'https', client);
      const server = await this.#connector.open(authority, destination.trust);
      this.#keep(server);
      if (client.destroyed) return void server.destroy();
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (destination.trust === 'everything') return carryBytes(client, server, head);
      const reason = await carryTls(client, server, authority, head);
      if (reason !== undefined) this.#options.onRefused(`${authority.key}: ${reason}`);
    } catch (error) {
      const problem = this.#problem(error);
      refuse(client, problem.refused ? 403 : 502, problem.message);
    }
  }

  async #plain(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = plainTarget(request);
    if (target === undefined) return void response.writeHead(400).end('this is a proxy\n');
    const { authority, path } = target;
    try {
      const destination = await this.#judge(authority, 'http', request.socket);
      const server = await this.#connector.open(authority, destination.trust);
      this.#keep(server);
      const onPlaces = (places: readonly string[]): void => {
        if (destination.registry) this.#memory.learn(authority.key, places);
      };
      carryPlain(request, response, { authority, path, server, onPlaces });
    } catch (error) {
      const problem = this.#problem(error);
      response.writeHead(problem.refused ? 403 : 502, phrase(problem.message)).end(`${problem.message}\n`);
    }
  }

  /** @throws EgressProblem when the settings don't let the engine go there */
  async #judge(
    authority: Authority,
    scheme: Scheme,
    client: Socket,
  ): Promise<Destination & { allowed: true }> {
    if (!servesPeer(client)) throw new EgressProblem('this proxy serves the engine only', true);
    let destination = this.#destination(authority, scheme);
    if (!destination.allowed) {
      await this.#learn();
      destination = this.#destination(authority, scheme);
    }
    if (!destination.allowed) throw new EgressProblem(destination.refusal.text, true);
    if (destination.registry) this.#talks.set(authority.key, { registry: authority, at: Date.now() });
    return destination;
  }

  #destination(authority: Authority, scheme: Scheme): Destination {
    return judgeDestination(authority, scheme, this.#options.settings.current, this.#memory);
  }

  /** Asks every registry that the engine is talking with; one of them may have sent it on. */
  async #learn(): Promise<void> {
    const oldest = Date.now() - talkMilliseconds;
    for (const [key, { at }] of this.#talks) {
      if (at < oldest || !isListedKey(key, this.#options.settings.current)) this.#talks.delete(key);
    }
    await Promise.all([...this.#talks.values()].map(({ registry }) => this.#learner.ask(registry)));
  }

  #trustOf(place: Authority): Trust {
    const destination = this.#destination(place, 'https');
    return destination.allowed ? destination.trust : 'found';
  }

  #keep(server: Socket): void {
    this.#sockets.add(server);
    server.on('error', () => {});
    server.on('close', () => this.#sockets.delete(server));
  }

  #problem(error: unknown): EgressProblem {
    const problem = error instanceof EgressProblem ? error : new EgressProblem(String(error), false);
    if (problem.refused) this.#options.onRefused(problem.message);
    return problem;
  }
}

/** Other users of this host have a network of their own, with its own rules. */
function servesPeer({
  remoteAddress = '',
  remotePort = 0,
  localAddress = '',
  localPort = 0,
}: Socket): boolean {
  const theirs = { address: remoteAddress, port: remotePort };
  return tcpPeerUid(theirs, { address: localAddress, port: localPort }) === process.getuid?.();
}

/** Go's HTTP client shows its caller the reason phrase of a refused CONNECT and nothing else. */
function refuse(client: Socket, status: number, message: string): void {
  client.end(`HTTP/1.1 ${status} ${phrase(message)}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function phrase(message: string): string {
  return message.replace(/[^\x20-\x7e]/g, '?');
}
