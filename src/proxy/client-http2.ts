/**
 * The client's side of HTTP/2, upgraded or with prior knowledge, and our own answers to its calls: a gRPC status for
 * gRPC, Docker's JSON for anything else. Without an upgrade an engine serves its whole API over HTTP/2; here only
 * gRPC is, so that there is one way in which a request of the API can be read.
 */
import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type SessionOptions,
} from 'node:http2';
import { grpcStatus } from '../registry/buildkit/grpc-judge.js';
import type { ClientEnd } from './client-connection.js';
import { blockLimit } from './engine-http2.js';
import { type Fields, valuesOf } from './hpack.js';
import { windowBytes } from './http2-windows.js';

/**
 * Node's own limits are meant for servers that face strangers. Here the engine's limits hold: it refuses what it
 * doesn't want, and says so to the client.
 */
const sessionOptions: SessionOptions = {
  maxSessionMemory: 1000,
  maxHeaderListPairs: 4096,
  maxSendHeaderBlockLength: blockLimit,
  settings: {
    initialWindowSize: windowBytes,
    maxHeaderListSize: blockLimit,
    maxConcurrentStreams: 0xffff_ffff,
  },
};

/** How long a client has to read its answer before its connection is closed, in milliseconds. */
const lingerMilliseconds = 500;

/** A call as the client's session announced it. */
export interface IncomingCall {
  readonly stream: ServerHttp2Stream;
  /** As they were sent. */
  readonly rawHeaders: Fields;
  /** The client sends no messages at all. */
  readonly ended: boolean;
}

/** Takes up HTTP/2 on a client's connection. A call's stream is the callback's. */
export function openServer(client: ClientEnd, called: (call: IncomingCall) => void): ServerHttp2Session {
  const { socket, early, ended } = client;
  if (early !== undefined && !ended) socket.unshift(early);
  const server = performServerHandshake(socket, sessionOptions);
  // The session takes its bytes from the kernel's socket itself, but has nobody begin to read. Not in this turn: first
  // it takes what came early, which a flowing stream would throw away.
  setImmediate(() => {
    if (!socket.destroyed) socket.resume();
  });
  // The session closes by itself after an error; the listener keeps it from ending the process.
  server.on('error', () => undefined);
  server.setLocalWindowSize(windowBytes);
  server.on(
    'stream',
    (stream: ServerHttp2Stream, _headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]) => {
      stream.on('error', () => undefined);
      called({ stream, rawHeaders, ended: (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0 });
    },
  );
  // Our sockets may stay half open; an HTTP/2 connection never does.
  if (ended) server.destroy();
  else socket.once('end', () => server.destroy());
  return server;
}

/** Whether the engine would take a call for gRPC (moby daemon/command/httphandler.go); two types are none. */
export function isGrpc(call: IncomingCall): boolean {
  const types = valuesOf(call.rawHeaders, 'content-type');
  return types.length === 1 && types[0]?.startsWith('application/grpc') === true;
}

/** What stands in for an answer of the engine. */
export interface OwnAnswer {
  /** HTTP status. */
  readonly status: number;
  readonly message: string;
}

/** The answer to what isn't gRPC. */
export const grpcOnly: OwnAnswer = {
  status: 505,
  message:
    'cofferdam: on this socket HTTP/2 carries the gRPC of BuildKit alone: use HTTP/1.1 for the Docker API',
};

/** Answers a call on which nothing was sent yet, and ends it. */
export function answerCall(call: IncomingCall, { status, message }: OwnAnswer): void {
  const { stream } = call;
  if (stream.destroyed || stream.headersSent) return;
  if (isGrpc(call)) {
    stream.respond(
      {
        ':status': 200,
        'content-type': 'application/grpc',
        'grpc-status': String(statusOfHttp(status)),
        'grpc-message': encodeURIComponent(message),
      },
      { endStream: true },
    );
  } else {
    const endStream = valuesOf(call.rawHeaders, ':method')[0] === 'HEAD';
    stream.respond({ ':status': status, 'content-type': 'application/json' }, { endStream });
    if (!endStream) stream.end(`${JSON.stringify({ message })}\n`);
  }
  if (call.ended) return;
  stream.resume();
  // Not in the same turn: the reset must come behind the answer (RFC 9113, section 8.1).
  stream.once('finish', () => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR)));
}

/** The gRPC status that says what an HTTP status does. */
function statusOfHttp(status: number): number {
  switch (status) {
    case 403:
      return grpcStatus.permissionDenied;
    case 502:
    case 503:
      return grpcStatus.unavailable;
    case 505:
      return grpcStatus.unimplemented;
    default:
      return grpcStatus.internal;
  }
}

/**
 * Answers a client that can't be served over HTTP/2. Its next connection may be judged in another way, so this one
 * ends behind the first answer.
 */
export function refuseHttp2(client: ClientEnd, answer: OwnAnswer): void {
  const server = openServer(client, (call) => {
    answerCall(call, isGrpc(call) ? answer : grpcOnly);
    call.stream.once('close', () => {
      server.close();
      setTimeout(() => client.socket.destroy(), lingerMilliseconds).unref();
    });
  });
  client.whenDraining(() => server.close());
}
