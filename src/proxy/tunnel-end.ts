/** One end of a connection that stopped being HTTP: raw bytes from here on. */
import type { Socket } from 'node:net';
import type { BytesTaker, SocketReader } from './socket-reader.js';

export interface TunnelEnd {
  /** Paused. */
  readonly socket: Socket;
  readonly reader: SocketReader;
  /** Bytes that came along with the last head, the first of the tunnel. */
  readonly early: Buffer | undefined;
  /** It was said already that nothing more comes from here. */
  readonly ended: boolean;
}

/** Gives all that comes out of an end to a taker, what came along with the head first, and begins to read. */
export function readEnd({ socket, reader, early }: TunnelEnd, taker: BytesTaker): void {
  reader.giveTo(taker);
  if (early !== undefined) taker.take(early);
  socket.resume();
}
