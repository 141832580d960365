/**
 * BuildKit's gRPC on a connection of HTTP/2, upgraded (POST /grpc) or with prior knowledge: it is terminated on both
 * sides, so that each message of the client can be judged. Calls are carried over one by one, with their metadata,
 * messages, trailers, resets and flow control. It must never let a call of the client reach the engine whose method and
 * messages weren't judged, nor let an error of one session end the process.
 */
import type { ClientHttp2Session, Http2Session, ServerHttp2Session } from 'node:http2';
import type { GrpcJudge, GrpcRefusal } from '../registry/buildkit/grpc-judge.js';
import type { ClientEnd } from './client-connection.js';
import { answerCall, grpcOnly, isGrpc, openServer } from './client-http2.js';
import type { Upstream } from './engine-http2.js';
import { carryCall } from './grpc-call.js';

export interface GrpcWatcher {
  /** A call was refused. */
  refused(path: string, refusal: GrpcRefusal): void;
  /** A call was no gRPC. */
  unserved(): void;
  /** Carrying a call failed by a fault of ours. */
  failed(error: unknown): void;
}

/** Joins a client's connection with an engine's session. Settled when both are closed. */
export function terminateGrpc(
  client: ClientEnd,
  upstream: Upstream,
  judge: GrpcJudge,
  watcher: GrpcWatcher,
): Promise<void> {
  let open = 0;
  let draining = false;
  const closeWhenIdle = (): void => {
    if (draining && open === 0) server.close();
  };
  const server = openServer(client, (call) => {
    open++;
    call.stream.once('close', () => {
      open--;
      closeWhenIdle();
    });
    if (isGrpc(call)) carryCall(call, upstream, judge, watcher);
    else {
      watcher.unserved();
      answerCall(call, grpcOnly);
    }
  });
  // A build's later calls belong to its first: what is open keeps the connection for all of them.
  client.whenDraining(() => {
    draining = true;
    closeWhenIdle();
  });
  const { session } = upstream;
  return Promise.all([join(server, session), join(session, server)]).then(() => undefined);
}

/** What ends one session ends the other: calls under way are reset, and both sides see why. */
function join(from: ServerHttp2Session | ClientHttp2Session, to: Http2Session): Promise<void> {
  from.on('goaway', (code, _lastStreamId, data) => {
    // The numbers of streams differ between both sides: 0 stands for the last one that was taken up here.
    if (!to.destroyed) to.goaway(code, 0, data);
  });
  return new Promise((resolve) => {
    from.on('close', () => {
      if (!to.destroyed) to.destroy();
      resolve();
    });
  });
}
