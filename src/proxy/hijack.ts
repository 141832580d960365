/**
 * Raw bytes both ways after the engine turned a connection into a stream: attach, exec, WebSocket, BuildKit sessions.
 * A tunnel begins only after the engine's own answer says so; anything else would let a client smuggle requests past
 * the rules. It must never end one direction because the other has ended: `docker run -i` closes its input and goes on
 * reading.
 */
import type { Socket } from 'node:net';
import type { Route } from '../engine/routes.js';
import type { AnswerHead } from './answer-head.js';
import { destroyOnHangUp } from './hang-up.js';
import { readEnd, type TunnelEnd } from './tunnel-end.js';

const rawStream = /^application\/vnd\.docker\.(raw|multiplexed)-stream$/;

/**
 * Which answers turn the connection into raw bytes.
 * An engine answers 101 to a client that asked for an upgrade, else 200 with a stream's content type and no length
 * (moby daemon/server/router/container/exec.go and container_routes.go). A detached exec or an error stays HTTP.
 */
export function tunnelAnswer(
  route: Route,
  upgrade: string | undefined,
): ((head: AnswerHead) => boolean) | undefined {
  if (route.answer === 'plain' || route.answer === 'stream') return undefined;
  return (head) => {
    if (head.status === 101) return upgrade !== undefined;
    return (
      route.answer === 'hijack' &&
      head.status === 200 &&
      head.framing.kind === 'until-close' &&
      rawStream.test(head.contentType ?? '')
    );
  };
}

/** The upgrade that is asked of the engine: only the one that belongs to the route, whatever else a client names. */
export function upgradeFor(route: Route, asked: string | undefined): string | undefined {
  if (asked === undefined) return undefined;
  switch (route.answer) {
    case 'hijack':
      // The engine looks only at whether there is an Upgrade, and answers with tcp.
      return 'tcp';
    case 'websocket':
      return asked === 'websocket' ? asked : undefined;
    case 'h2c':
      return asked === 'h2c' ? asked : undefined;
    default:
      return undefined;
  }
}

/** How long bytes that were read before one side broke may take to reach the other, in milliseconds. */
const flushMilliseconds = 1000;

/** Joins both sockets until both directions have ended or one side broke. Settled when both are closed. */
export function tunnel(client: TunnelEnd, engine: TunnelEnd): Promise<void> {
  const closed = Promise.all([pump(client, engine.socket), pump(engine, client.socket)]);
  if (client.ended) {
    engine.socket.end();
    destroyOnHangUp(client.socket);
  }
  return closed.then(() => undefined);
}

/** Passes on what one end reads, as fast as the other takes it. Settled when `from` is closed. */
function pump(end: TunnelEnd, to: Socket): Promise<void> {
  const from = end.socket;
  to.on('drain', () => from.resume());
  from.on('end', () => {
    to.end();
    destroyOnHangUp(from);
  });
  from.on('error', () => from.destroy());
  readEnd(end, {
    take: (bytes) => {
      if (!to.write(bytes)) from.pause();
    },
    get holdsNothing() {
      return to.writableLength === 0;
    },
  });
  return new Promise((resolve) => {
    from.on('close', () => {
      // A side that is gone takes the other along; what was read before gets a moment to be written.
      if (!to.destroyed) {
        to.destroySoon();
        setTimeout(() => to.destroy(), flushMilliseconds).unref();
      }
      resolve();
    });
  });
}
