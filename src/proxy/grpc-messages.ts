/**
 * Cuts a gRPC byte stream into its messages: one byte of flags, four of length, then the message (gRPC over HTTP/2,
 * "Length-Prefixed-Message"). It must never give out a message that isn't complete, or one that it can't read.
 */

/** The longest message that BuildKit takes (moby/buildkit, defaults.DefaultMaxRecvMsgSize), in bytes. */
export const messageLimit = 16 << 20;

const prefixBytes = 5;

/** A stream that can't be cut into readable messages. */
export class MalformedMessage extends Error {}

export class MessageReader {
  #parts: Buffer[] = [];
  #size = 0;

  /** True when no message has begun. */
  get empty(): boolean {
    return this.#size === 0;
  }

  /**
   * Takes the next bytes.
   * @returns the messages that are complete now, without their prefixes
   * @throws MalformedMessage for a compressed or over-long message
   */
  push(bytes: Buffer): Buffer[] {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    const messages: Buffer[] = [];
    for (let message = this.#next(); message !== undefined; message = this.#next()) messages.push(message);
    return messages;
  }

  #next(): Buffer | undefined {
    if (this.#size < prefixBytes) return undefined;
    const prefix = this.#peek(prefixBytes);
    if (prefix.readUInt8(0) !== 0) throw new MalformedMessage('compressed gRPC messages are not accepted');
    const length = prefix.readUInt32BE(1);
    if (length > messageLimit) throw new MalformedMessage('the gRPC message is too large');
    if (this.#size < prefixBytes + length) return undefined;
    return this.#take(prefixBytes + length).subarray(prefixBytes);
  }

  #peek(length: number): Buffer {
    const [first] = this.#parts;
    if (first !== undefined && first.length >= length) return first;
    const joined = Buffer.concat(this.#parts);
    this.#parts = [joined];
    return joined;
  }

  #take(length: number): Buffer {
    const joined = Buffer.concat(this.#parts);
    this.#parts = joined.length === length ? [] : [joined.subarray(length)];
    this.#size -= length;
    return joined.subarray(0, length);
  }
}

/** A message with its prefix, as it is sent. */
export function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(prefixBytes + message.length);
  bytes.writeUInt8(0, 0);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, prefixBytes);
  return bytes;
}
