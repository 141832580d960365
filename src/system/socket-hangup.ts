/**
 * Whether the other end of a unix socket is closed for good. A read that ends says only that the peer stopped sending:
 * it may still read. The kernel tells the two apart (poll(2), POLLHUP), Node doesn't.
 */
import koffi from 'koffi';

const POLLHUP = 0x10;
const EINTR = 4;
/** struct pollfd: the descriptor, then what is asked for and what was found, 16 bits each. */
const pollfdBytes = 8;

const libc = koffi.load(null);
const poll = libc.func('int poll(void *descriptors, unsigned long count, int timeout)');

/**
 * True when the peer has closed its socket, or was ended.
 * @param fd a connected unix stream socket
 * @throws Error with the errno when the descriptor is no socket
 */
export function hasHungUp(fd: number): boolean {
  const descriptor = Buffer.alloc(pollfdBytes);
  descriptor.writeInt32LE(fd, 0);
  if (poll(descriptor, 1, 0) < 0) {
    const errno = koffi.errno();
    if (errno === EINTR) return false;
    throw new Error(`poll on a socket failed: errno ${errno}`);
  }
  return (descriptor.readInt16LE(6) & POLLHUP) !== 0;
}
