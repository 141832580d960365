/**
 * The proxy as a whole: listens, gives every connection its caller's identity, hands requests to the spine, and stops
 * so that what is under way can finish.
 */
import type { Server, Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Audit } from '../audit/sink.js';
import type { ContainerFiles } from '../container-files/container-files.js';
import type { HostPaths } from '../host-files/host-paths.js';
import type { GrpcJudge } from '../registry/buildkit/grpc-judge.js';
import type { Facts, JudgedRequest, Rule } from '../rules/rule.js';
import type { SettingsHolder } from '../settings/watch.js';
import { type PeerCredentials, peerCredentials } from '../system/peer-credentials.js';
import { descriptorOf } from '../system/socket-descriptor.js';
import type { Ledger } from '../uid-allocator/ledger.js';
import type { Caller } from '../uid-allocator/record.js';
import { ClientConnection, type ClientConnectionOwner } from './client-connection.js';
import type { LookUp, ProxyContext } from './context.js';
import { EnginePool } from './engine-pool.js';
import type { ProxyError } from './errors.js';
import type { Exchange } from './exchange.js';
import { handle } from './handle.js';
import { listen, socketPath } from './listen.js';
import { record } from './record.js';
import { refuse } from './refuse.js';
import { VolumeTurns } from './volume-turns.js';

export interface ProxyOptions {
  /** Addresses to listen on: `unix:///path`. */
  readonly listen: readonly string[];
  /** Descriptors of listening sockets that were handed over to this process, by their path. */
  readonly activated?: ReadonlyMap<string, number> | undefined;
  /** Path of the engine's unix socket. */
  readonly engineSocket: string;
  readonly settings: Pick<SettingsHolder, 'current' | 'generation'>;
  readonly ledger: Pick<Ledger, 'intend' | 'settle' | 'abandon' | 'read'>;
  readonly facts: LookUp;
  readonly rules: readonly Rule[];
  readonly judgeGrpc: (request: JudgedRequest, facts: Facts) => GrpcJudge;
  readonly judgeStream?: ProxyContext['judgeStream'];
  readonly noteImage?: ProxyContext['noteImage'];
  readonly audit: Pick<Audit, 'record'>;
  readonly log: Pick<Logger, 'error' | 'warn' | 'info'>;
  /** Makes the sources of bind mounts that aren't there yet, with the caller's rights; absent, none is made. */
  readonly hostPaths?: Pick<HostPaths, 'make'>;
  readonly containerFiles?: ContainerFiles;
  /** Who speaks: the peer itself, or for a container's process the one who had the container made. */
  readonly callerOf?: (peer: PeerCredentials) => Caller;
}

export interface RunningProxy {
  /**
   * Ends connections of a container, whatever is under way on them.
   * @param which of them, by their request; absent: every one
   */
  disconnect(containerId: string, which?: (asked: JudgedRequest) => boolean): void;
  /** Paths of the listening sockets. */
  readonly sockets: readonly string[];
  /** How many clients' connections are open, by what they are used for. */
  readonly connections: Readonly<Record<ClientConnection['use'], number>>;
  /**
   * Takes no new requests, lets those under way and open streams finish, and breaks off what is left.
   * @param drainMilliseconds how long they may take
   */
  close(options: { drainMilliseconds: number }): Promise<void>;
}

/** Starts the proxy. @throws ListenError when an address can't be used */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const proxy = new SocketProxy(options);
  await proxy.listen();
  return proxy;
}

class SocketProxy implements RunningProxy, ClientConnectionOwner, ProxyContext {
  readonly sockets: readonly string[];
  readonly pool: EnginePool;
  readonly settings: ProxyOptions['settings'];
  readonly facts: LookUp;
  readonly hostPaths: ProxyOptions['hostPaths'];
  readonly containerFiles: ProxyOptions['containerFiles'];
  readonly rules: readonly Rule[];
  readonly ledger: ProxyOptions['ledger'];
  readonly audit: ProxyOptions['audit'];
  readonly log: ProxyOptions['log'];
  readonly judgeGrpc: ProxyOptions['judgeGrpc'];
  readonly judgeStream: ProxyContext['judgeStream'];
  readonly noteImage: ProxyContext['noteImage'];
  readonly volumeTurns = new VolumeTurns();
  draining = false;
  readonly #options: ProxyOptions;
  readonly #servers: Server[] = [];
  readonly #connections = new Set<ClientConnection>();
  #allClosed: (() => void) | undefined;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.sockets = options.listen.map(socketPath);
    this.pool = new EnginePool(options.engineSocket);
    this.settings = options.settings;
    this.hostPaths = options.hostPaths;
    this.containerFiles = options.containerFiles;
    this.facts = options.facts;
    this.rules = options.rules;
    this.ledger = options.ledger;
    this.audit = options.audit;
    this.log = options.log;
    this.judgeGrpc = options.judgeGrpc;
    this.judgeStream = options.judgeStream;
    this.noteImage = options.noteImage;
  }

  async listen(): Promise<void> {
    try {
      for (const address of this.#options.listen) {
        this.#servers.push(await listen(address, (socket) => this.#accept(socket), this.#options.activated));
      }
    } catch (error) {
      await this.close({ drainMilliseconds: 0 });
      throw error;
    }
  }

  get connections(): RunningProxy['connections'] {
    const counts = { idle: 0, request: 0, stream: 0, tunnel: 0 };
    for (const { use } of this.#connections) counts[use] += 1;
    return counts;
  }

  #accept(socket: Socket): void {
    let caller: Caller;
    try {
      caller = this.#identify(socket);
    } catch (error) {
      this.log.error({ err: error }, 'a connection without an identity is refused');
      return void socket.destroy();
    }
    this.#connections.add(new ClientConnection(socket, caller, this));
  }

  #identify(socket: Socket): Caller {
    const peer = peerCredentials(descriptorOf(socket));
    return this.#options.callerOf?.(peer) ?? peer;
  }

  disconnect(containerId: string, which?: (asked: JudgedRequest) => boolean): void {
    for (const { caller, asked, socket } of this.#connections) {
      if (caller.container !== containerId) continue;
      if (which === undefined || (asked !== undefined && which(asked))) socket.destroy();
    }
  }

  handle(exchange: Exchange): void {
    handle(exchange, this);
  }

  malformed(exchange: Exchange, error: ProxyError): void {
    refuse(exchange, error, this);
    record(exchange, this);
  }

  closed(connection: ClientConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#allClosed?.();
  }

  async close({ drainMilliseconds }: { drainMilliseconds: number }): Promise<void> {
    this.draining = true;
    for (const server of this.#servers) server.close();
    for (const connection of this.#connections) connection.closeWhenIdle();
    if (this.#connections.size > 0) await this.#drained(drainMilliseconds);
    for (const connection of this.#connections) connection.socket.destroy();
    this.pool.close();
  }

  #drained(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#allClosed = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
