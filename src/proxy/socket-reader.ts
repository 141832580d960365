/**
 * Reads a socket into a buffer of its own that is read into again and again. Node's sockets take a fresh 64 KiB for
 * every read, whose cold memory and collection cost a quarter of the time of passing bytes on. It must never read into
 * memory that somebody still holds: unless whoever took the bytes says that nothing of them is left, they are given
 * away, and the next read goes elsewhere.
 */
import { type OnReadOpts, Socket } from 'node:net';
import { duplicateDescriptor } from '../system/duplicate-descriptor.js';
import { descriptorOf } from '../system/socket-descriptor.js';

/** Who gets what a socket reads. */
export interface BytesTaker {
  /** Takes the next bytes. They stay as they are for as long as `holdsNothing` isn't true. */
  take(bytes: Buffer): void;
  /** Asked after `take`: whether every byte that was taken is passed on or forgotten. */
  readonly holdsNothing: boolean;
}

/** An idle connection, or one with small requests, needs no more than this; one that fills it gets `fullBytes`. */
const firstBytes = 1024;
const fullBytes = 64 * 1024;
/** Up to this much is copied out of full-size memory: whoever keeps a few bytes must not keep all of that. */
const copiedBytes = 2048;

export class SocketReader {
  /** The option of the same name of a socket that is to be read so. */
  readonly onread: OnReadOpts;
  #buffer = Buffer.allocUnsafeSlow(firstBytes);
  #taker: BytesTaker;
  /** What was lent last of the first memory: as many bytes in the same memory are the same view. */
  #lent: Buffer | undefined;

  constructor(taker: BytesTaker) {
    this.#taker = taker;
    this.onread = {
      // Asked again after each read.
      buffer: () => this.#buffer,
      callback: (count) => {
        this.#pass(count);
        return true;
      },
    };
  }

  /** Gives what is read from now on to somebody else. */
  giveTo(taker: BytesTaker): void {
    this.#taker = taker;
  }

  #pass(count: number): void {
    const taker = this.#taker;
    const { length } = this.#buffer;
    const lent = length === firstBytes || count > copiedBytes;
    taker.take(lent ? this.#lend(count) : Buffer.from(this.#buffer.subarray(0, count)));
    if (count === length && length === firstBytes) this.#buffer = Buffer.allocUnsafeSlow(fullBytes);
    // Another taker by now: the first one handed over what it had, and doesn't know where it is.
    else if (lent && (taker !== this.#taker || !taker.holdsNothing))
      this.#buffer = Buffer.allocUnsafeSlow(length);
  }

  #lend(count: number): Buffer {
    const known = this.#lent;
    if (known?.length === count && known.buffer === this.#buffer.buffer) return known;
    const lent = this.#buffer.subarray(0, count);
    // Full-size memory that was given away must not stay because of a view.
    this.#lent = this.#buffer.length === firstBytes ? lent : undefined;
    return lent;
  }
}

/**
 * An accepted connection, read by a reader: Node offers `onread` only for sockets that one makes oneself. The accepted
 * socket is closed, without an end for the peer.
 * @param accepted paused since it was accepted
 * @throws SystemCallError when there are no descriptors left
 */
export function readAccepted(accepted: Socket, reader: SocketReader, highWaterMark: number): Socket {
  const fd = duplicateDescriptor(descriptorOf(accepted));
  accepted.destroy();
  // The option is missing in the types of Socket, which hands it on to the stream.
  const options = { fd, onread: reader.onread, allowHalfOpen: true, highWaterMark };
  return new Socket({ ...options, readable: true, writable: true });
}
