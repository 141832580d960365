/**
 * The file descriptor of a connected socket. Node.js has no public way to it, and the kernel tells a peer's
 * credentials by descriptor only. It must be used at once: the number is another file's after a close.
 */
import type { Socket } from 'node:net';

/** The descriptor of an open socket. Throws when it is closed, or when this Node.js hides it. */
export function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle === 'object' && handle !== null && 'fd' in handle) {
    const { fd } = handle;
    if (typeof fd === 'number' && fd >= 0) return fd;
  }
  throw new Error('the connection is closed');
}
