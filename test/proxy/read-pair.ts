/** Two connected sockets, one of them read as the proxy reads, for tests. */
import type { Socket } from 'node:net';
import { afterEach } from 'vitest';
import { type BytesTaker, readAccepted, SocketReader } from '../../src/proxy/socket-reader.js';
import type { TunnelEnd } from '../../src/proxy/tunnel-end.js';
import { socketPair } from '../../src/system/socket-pair.js';

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

/** The near socket is read by a reader, from which `taker` gets the bytes. Both are closed after the test. */
export function connected(taker: BytesTaker): { end: TunnelEnd; far: Socket } {
  const [near, far] = socketPair();
  const reader = new SocketReader(taker);
  const socket = readAccepted(near, reader, 65_536);
  open.push(socket, far);
  return { end: { socket, reader, early: undefined, ended: false }, far };
}
