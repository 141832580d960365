/**
 * Notices that a peer which has stopped sending is gone altogether, so that what was done for it ends at once, and not
 * only when the next byte can't be delivered.
 */
import type { Socket } from 'node:net';
import { descriptorOf } from '../system/socket-descriptor.js';
import { hasHungUp } from '../system/socket-hangup.js';

/** How often a peer that only reads any more is looked at, in milliseconds. */
const lookMilliseconds = 500;

/** Destroys a socket whose peer has ended its side as soon as that peer is gone. Call it on the socket's `end`. */
export function destroyOnHangUp(socket: Socket): void {
  if (socket.destroyed) return;
  if (hasHungUp(descriptorOf(socket))) {
    socket.destroy();
    return;
  }
  const timer = setInterval(() => {
    if (!socket.destroyed && hasHungUp(descriptorOf(socket))) socket.destroy();
  }, lookMilliseconds);
  timer.unref();
  socket.once('close', () => clearInterval(timer));
}
