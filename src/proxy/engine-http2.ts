/**
 * The engine's side of a BuildKit connection: an HTTP/2 session over a socket to the engine, upgraded or new. Whether
 * an engine speaks HTTP/2 without an upgrade is asked of itself on each connection: of the 29 series only 29.2 and
 * later do, and nothing in `/_ping`, `/version` or `/info` tells.
 */
import { type ClientHttp2Session, connect, type Http2Session, type SessionOptions } from 'node:http2';
import { ProxyError } from './errors.js';
import { LongFields, shortened } from './long-fields.js';
import type { TunnelEnd } from './tunnel-end.js';

/** Window of a stream and of a session, in bytes: enough that one build's progress never waits for round trips. */
const windowBytes = 1 << 20;

/**
 * Node's own limits are meant for servers that face strangers. Here the engine's limits hold: it refuses what it
 * doesn't want, and says so to the client.
 */
export const sessionOptions: SessionOptions = {
  maxSessionMemory: 1000,
  maxHeaderListPairs: 4096,
  maxSendHeaderBlockLength: 1 << 24,
  settings: {
    enablePush: false,
    initialWindowSize: windowBytes,
    maxHeaderListSize: 1 << 24,
    maxConcurrentStreams: 0xffff_ffff,
  },
};

/** The engine's side. */
export interface Upstream {
  readonly session: ClientHttp2Session;
  /** Keeps the values of its fields that Node can't read. */
  readonly longFields: LongFields;
}

/** A session on a socket that speaks HTTP/2, or that is yet to show it. */
export function openUpstream(engine: TunnelEnd): Upstream {
  const longFields = new LongFields();
  const socket = shortened(engine, longFields);
  const session = connect('http://docker', { ...sessionOptions, createConnection: () => socket });
  // The session closes by itself after an error; the listener keeps it from ending the process.
  session.on('error', () => undefined);
  session.once('connect', () => widen(session));
  // Our sockets may stay half open; an HTTP/2 connection never does.
  socket.once('end', () => session.destroy());
  return { session, longFields };
}

/** Gives a session's connection the window that its streams have. */
export function widen(session: Http2Session): void {
  if (!session.destroyed) session.setLocalWindowSize(windowBytes);
}

/**
 * A session with an engine that speaks HTTP/2 without an upgrade: settled once the engine has sent its SETTINGS, with
 * which every such connection begins (RFC 9113, section 3.4).
 * @param engine a new connection, on which nothing was sent
 * @throws ProxyError when the engine answers otherwise, or can't be reached
 */
export function openPriorKnowledge(engine: TunnelEnd): Promise<Upstream> {
  const upstream = openUpstream(engine);
  const { session } = upstream;
  return new Promise((resolve, reject) => {
    const refuse = (error: ProxyError): void => {
      session.destroy();
      reject(error);
    };
    engine.socket.once('error', (cause) => refuse(away(`can't be reached: ${cause.message}`, cause)));
    session.once('remoteSettings', () => {
      if (session.closed || session.destroyed) refuse(away('ended the connection'));
      else resolve(upstream);
    });
    session.once('close', () =>
      refuse(engine.socket.bytesRead > 0 ? unserved() : away('ended the connection')),
    );
  });
}

function away(what: string, cause?: Error): ProxyError {
  return new ProxyError('COFFERDAM_ENGINE_AWAY', `the Docker engine ${what}`, { cause });
}

function unserved(): ProxyError {
  const advice = 'POST /grpc with an Upgrade to h2c reaches its BuildKit (docker build and buildx use it)';
  return new ProxyError(
    'COFFERDAM_HTTP_VERSION',
    `this Docker Engine does not serve HTTP/2 without an upgrade, which 29.2 and later do; ${advice}`,
  );
}
