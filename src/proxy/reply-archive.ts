/**
 * Answers of our own to questions about a container's files: what the engine answers when no host file is among them.
 * The client's reading sets the pace; nothing but one piece is in memory.
 */

import { ProxyError } from './errors.js';
import type { Exchange } from './exchange.js';
import { lastChunk, writeChunk } from './write-chunk.js';

function head(exchange: Exchange, pathStat: string, framing: readonly string[], keepAlive: boolean): string {
  exchange.status = 200;
  return [
    'HTTP/1.1 200 OK',
    'Content-Type: application/x-tar',
    `X-Docker-Container-Path-Stat: ${pathStat}`,
    `Date: ${new Date().toUTCString()}`,
    ...framing,
    ...(keepAlive ? [] : ['Connection: close']),
    '\r\n',
  ].join('\r\n');
}

/** Answers HEAD. */
export function replyWithPathStat(exchange: Exchange, pathStat: string): void {
  const keepAlive = exchange.head?.keepAlive === true;
  exchange.connection.socket.write(head(exchange, pathStat, [], keepAlive));
  exchange.connection.answered(exchange, keepAlive);
}

/**
 * Answers GET with an archive, in chunks, or until the connection's close for clients of HTTP/1.0.
 * @throws what the archive's making throws; the answer has begun then, and the connection is to be broken off
 */
export async function replyWithArchive(
  exchange: Exchange,
  pathStat: string,
  archive: AsyncIterable<unknown>,
): Promise<void> {
  const { socket } = exchange.connection;
  const chunked = exchange.head?.minorVersion === 1;
  const keepAlive = chunked && exchange.head?.keepAlive === true;
  let wake = (): void => undefined;
  exchange.watch({ clientDrained: () => wake(), clientGone: () => wake() });
  try {
    socket.write(head(exchange, pathStat, chunked ? ['Transfer-Encoding: chunked'] : [], keepAlive));
    for await (const piece of archive) {
      if (exchange.gone) throw new ProxyError('COFFERDAM_CLIENT_GONE', 'the client went away');
      if (!(piece instanceof Uint8Array)) throw new TypeError('an archive is made of bytes');
      if (piece.length > 0 && !(chunked ? writeChunk(socket, piece) : socket.write(piece))) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
    if (chunked) socket.write(lastChunk);
  } finally {
    exchange.watch(undefined);
  }
  exchange.connection.answered(exchange, keepAlive);
}
