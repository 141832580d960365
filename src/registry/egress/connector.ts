/**
 * Opens connections for the egress proxy: a name is resolved once, its addresses are judged, and the connection goes
 * to the very address that was judged. It must never let a resolver choose again.
 */
import { lookup } from 'node:dns/promises';
import { connect, type Socket } from 'node:net';
import { buildConnector } from 'undici';
import { type Authority, literalAddress } from './authority.js';
import type { Trust } from './destinations.js';

/** Where an address is: out on the Internet, in networks of one's own, or this host and its link. */
export type AddressKind = 'public' | 'private' | 'host';

/** No connection can be had. `refused`: by the settings; else the name or the server is away. */
export class EgressProblem extends Error {
  readonly code = 'COFFERDAM_EGRESS';
  readonly refused: boolean;

  constructor(message: string, refused: boolean, options?: ErrorOptions) {
    super(message, options);
    this.refused = refused;
  }
}

export interface ConnectorOptions {
  readonly kindOf: (address: string) => AddressKind;
  /** Addresses of a name, best first. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  readonly dial?: (address: string, port: number) => Socket;
}

/** What a trust lets a name resolve to. */
const reachable: Readonly<Record<Trust, ReadonlySet<AddressKind>>> = {
  everything: new Set(['public', 'private', 'host']),
  literal: new Set(['public', 'private', 'host']),
  listed: new Set(['public', 'private']),
  found: new Set(['public']),
};

const addressesMax = 4;
/** For each address, in milliseconds. */
const patience = 5_000;

export class Connector {
  readonly #options: Required<ConnectorOptions>;

  constructor(options: ConnectorOptions) {
    this.#options = { resolve: systemResolve, dial: systemDial, ...options };
  }

  /**
   * A TCP connection, open.
   * @throws EgressProblem
   */
  async open(authority: Authority, trust: Trust): Promise<Socket> {
    let failure: unknown;
    for (const address of (await this.#addresses(authority, trust)).slice(0, addressesMax)) {
      try {
        return await opened(this.#options.dial(address, authority.port));
      } catch (error) {
        failure = error;
      }
    }
    throw new EgressProblem(`${authority.key} can't be reached: ${messageOf(failure)}`, false, {
      cause: failure,
    });
  }

  /** The same with TLS on it, as undici wants it. */
  forTls(
    ca: readonly Buffer[] | undefined,
    authority: Authority,
    trust: () => Trust,
  ): buildConnector.connector {
    const secure = buildConnector(ca === undefined ? {} : { ca: [...ca] });
    return (options, callback) => {
      this.open(authority, trust()).then(
        (httpSocket) => secure({ ...options, httpSocket }, callback),
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
      );
    };
  }

  async #addresses(authority: Authority, trust: Trust): Promise<readonly string[]> {
    const literal = literalAddress(authority);
    const found = literal === undefined ? await this.#resolve(authority) : [literal];
    const allowed = found.filter((address) => reachable[trust].has(this.#options.kindOf(address)));
    if (allowed.length > 0) return allowed;
    throw new EgressProblem(
      `registry access to ${authority.key} is not allowed: its name leads to ${found.join(', ')}, which is no address that it may have`,
      true,
    );
  }

  async #resolve({ host, key }: Authority): Promise<readonly string[]> {
    try {
      return await this.#options.resolve(host);
    } catch (error) {
      throw new EgressProblem(`${key} has no address: ${messageOf(error)}`, false, { cause: error });
    }
  }
}

async function systemResolve(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

function systemDial(host: string, port: number): Socket {
  return connect({ host, port, allowHalfOpen: true });
}

function opened(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), patience);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeListener('error', fail);
      resolve(socket);
    });
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
