/** Content of our own in chunks (RFC 9112, section 7.1), without a copy of it. */
import type { Socket } from 'node:net';

/** What ends a chunked body. */
export const lastChunk = '0\r\n\r\n';

/**
 * Writes content as one chunk.
 * @param piece not empty: that would end the body
 * @returns false when the socket should be given nothing more until its `drain`
 */
export function writeChunk(socket: Socket, piece: Uint8Array): boolean {
  socket.cork();
  socket.write(`${piece.length.toString(16)}\r\n`, 'latin1');
  socket.write(piece);
  const more = socket.write('\r\n', 'latin1');
  socket.uncork();
  return more;
}
