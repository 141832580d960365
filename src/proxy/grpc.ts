/**
 * BuildKit's gRPC on an upgraded connection (POST /grpc): HTTP/2 is terminated on both sides, so that each message of
 * the client can be judged. Calls are carried over one by one, with their metadata, messages, trailers, resets and flow
 * control. It must never let a call of the client reach the engine whose method and messages weren't judged, nor let an
 * error of one session end the process.
 */
import {
  type ClientHttp2Session,
  connect,
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type SessionOptions,
} from 'node:http2';
import type { GrpcJudge, GrpcRefusal } from '../registry/buildkit/grpc-judge.js';
import { carryCall } from './grpc-call.js';
import { LongFields, shortened } from './long-fields.js';
import type { TunnelEnd } from './tunnel-end.js';

/** Window of a stream and of a session, in bytes: enough that one build's progress never waits for round trips. */
const windowBytes = 1 << 20;

/**
 * Node's own limits are meant for servers that face strangers. Here the engine's limits hold: it refuses what it
 * doesn't want, and says so to the client.
 */
const sessionOptions: SessionOptions = {
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

export interface GrpcWatcher {
  /** A call was refused. */
  refused(path: string, refusal: GrpcRefusal): void;
  /** Carrying a call failed by a fault of ours. */
  failed(error: unknown): void;
}

/** Joins a client's and an engine's HTTP/2 connection. Settled when both are closed. */
export function terminateGrpc(
  client: TunnelEnd,
  engine: TunnelEnd,
  judge: GrpcJudge,
  watcher: GrpcWatcher,
): Promise<void> {
  if (client.early !== undefined && !client.ended) client.socket.unshift(client.early);
  const server = performServerHandshake(client.socket, sessionOptions);
  // The session takes its bytes from the kernel's socket itself, but has nobody begin to read.
  client.socket.resume();
  const longFields = new LongFields();
  const socket = shortened(engine, longFields);
  const upstream = connect('http://docker', { ...sessionOptions, createConnection: () => socket });
  widen(server);
  upstream.once('connect', () => widen(upstream));
  server.on(
    'stream',
    (stream: ServerHttp2Stream, _headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]) => {
      const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      carryCall({ stream, rawHeaders, ended }, { session: upstream, longFields }, judge, watcher);
    },
  );
  // Our sockets may stay half open; an HTTP/2 connection never does.
  client.socket.once('end', () => server.destroy());
  socket.once('end', () => upstream.destroy());
  return Promise.all([join(server, upstream), join(upstream, server)]).then(() => undefined);
}

function widen(session: Http2Session): void {
  if (!session.destroyed) session.setLocalWindowSize(windowBytes);
}

/** What ends one session ends the other: calls under way are reset, and both sides see why. */
function join(from: ServerHttp2Session | ClientHttp2Session, to: Http2Session): Promise<void> {
  from.on('goaway', (code, _lastStreamId, data) => {
    // The numbers of streams differ between both sides: 0 stands for the last one that was taken up here.
    if (!to.destroyed) to.goaway(code, 0, data);
  });
  // The session closes by itself after an error; the listener keeps it from ending the process.
  from.on('error', () => undefined);
  return new Promise((resolve) => {
    from.on('close', () => {
      if (!to.destroyed) to.destroy();
      resolve();
    });
  });
}
