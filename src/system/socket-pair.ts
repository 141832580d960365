/** Two connected sockets within this process: for what only takes a socket of the kernel's. */
import { Socket } from 'node:net';
import koffi from 'koffi';
import { SystemCallError } from './system-error.js';

/** AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC (bits/socket.h, bits/socket_type.h). */
const unix = 1;
const stream = 1;
const closeOnExec = 0o2000000;

const libcSocketpair: (domain: number, type: number, protocol: number, descriptors: Buffer) => number = koffi
  .load(null)
  .func('int socketpair(int domain, int type, int protocol, void *descriptors)');

/** socketpair(2), as descriptors that the caller closes. @throws SystemCallError */
export function rawSocketPair(): [number, number] {
  const descriptors = Buffer.alloc(8);
  if (libcSocketpair(unix, stream | closeOnExec, 0, descriptors) < 0)
    throw new SystemCallError('socketpair', koffi.errno(), 'two connected sockets');
  return [descriptors.readInt32LE(0), descriptors.readInt32LE(4)];
}

/** Two sockets, each of which may stay half open. @throws SystemCallError */
export function socketPair(): [Socket, Socket] {
  const open = (fd: number): Socket =>
    new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  const [near, far] = rawSocketPair();
  return [open(near), open(far)];
}
