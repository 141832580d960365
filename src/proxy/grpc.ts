/**
 * BuildKit's gRPC on a connection of HTTP/2, upgraded (POST /grpc) or with prior knowledge: it is terminated on both
 * sides, so that each message of the client can be judged. Calls are carried over one by one, with their metadata,
 * messages, trailers, resets and flow control. It must never let a call of the client reach the engine whose method and
 * messages weren't judged, nor let an error of one session end the process.
 */
import type { ServerHttp2Session } from 'node:http2';
import type { GrpcJudge, GrpcRefusal } from '../registry/buildkit/grpc-judge.js';
import type { ClientEnd } from './client-connection.js';
import { answerCall, grpcOnly, isGrpc, openServer } from './client-http2.js';
import type { EngineHttp2 } from './engine-http2.js';
import { carryCall } from './grpc-call.js';
import { readEnd } from './tunnel-end.js';

export interface GrpcWatcher {
  /** A call was refused. */
  refused(path: string, refusal: GrpcRefusal): void;
  /** A call was no gRPC. */
  unserved(): void;
  /** Carrying a call failed by a fault of ours. */
  failed(error: unknown): void;
}

/** Joins a client's connection with an engine's. Settled when both are closed. */
export async function terminateGrpc(
  client: ClientEnd,
  upstream: EngineHttp2,
  judge: GrpcJudge,
  watcher: GrpcWatcher,
): Promise<void> {
  const opened = await withFirstBytes(client, upstream);
  if (opened === undefined) {
    upstream.destroy();
    return;
  }
  upstream.start();
  let open = 0;
  let draining = false;
  const closeWhenIdle = (): void => {
    if (draining && open === 0) server.close();
  };
  const server = openServer(opened, (call) => {
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
  await join(server, upstream, watcher);
}

/**
 * The client's end once it has sent something. buildx opens connections only to see that they are upgraded, and closes
 * them: those need no session, and HTTP/2's first bytes are the client's (RFC 9113, section 3.4).
 * @returns undefined when either side is gone
 */
function withFirstBytes(client: ClientEnd, upstream: EngineHttp2): Promise<ClientEnd | undefined> {
  const { socket } = client;
  if (client.ended) {
    socket.destroySoon();
    return Promise.resolve(undefined);
  }
  if (client.early !== undefined) return Promise.resolve(client);
  return new Promise((resolve) => {
    const gone = (): void => {
      socket.destroySoon();
      resolve(undefined);
    };
    socket.once('end', gone).once('close', gone);
    client.whenDraining(gone);
    upstream.watch({ closed: gone });
    readEnd(client, {
      take: (early) => {
        socket.pause();
        socket.off('end', gone).off('close', gone);
        resolve({ ...client, early });
      },
      holdsNothing: false,
    });
  });
}

/** What ends one side ends the other: calls under way are reset, and both sides see why. */
function join(server: ServerHttp2Session, upstream: EngineHttp2, watcher: GrpcWatcher): Promise<unknown> {
  server.on('goaway', (code, _lastStreamId, data) => upstream.goAway(code, data));
  const serverClosed = new Promise<void>((resolve) => {
    server.on('close', () => {
      upstream.destroy();
      resolve();
    });
  });
  const upstreamClosed = new Promise<void>((resolve) => {
    upstream.watch({
      // The numbers of streams differ between both sides: 0 stands for the last one that was taken up here.
      goAway: (code, data) => {
        if (!server.destroyed) server.goaway(code, 0, data);
      },
      failed: (error) => watcher.failed(error),
      closed: () => {
        if (!server.destroyed) server.destroy();
        resolve();
      },
    });
  });
  return Promise.all([serverClosed, upstreamClosed]);
}
