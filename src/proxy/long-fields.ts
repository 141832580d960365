/**
 * Header fields of the engine that Node's HTTP/2 can't read: nghttp2 gives a connection up over a value of more than
 * 64 KiB, and BuildKit tells of a failed step with the whole Dockerfile in one. A long value is taken out of its
 * header block before Node sees it, a mark stands in its place, and whoever passes the fields on puts it back. The
 * value is never judged: it only ever goes from the engine to the client.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { socketPair } from '../system/socket-pair.js';
import { MalformedBlock, readInteger, readLiteral, textOf } from './hpack-text.js';
import { readEnd, type TunnelEnd } from './tunnel-end.js';

const frameHead = 9;
const headers = 1;
const continuation = 9;
const endStream = 1;
const endHeaders = 4;
const padded = 8;
const prioritized = 32;
/** Longest frame that a peer may send to Node, which keeps the default (RFC 9113, section 4.2), in bytes. */
const frameLimit = 16_384;
/** Longest header block that is read, in bytes: what the sessions allow as well. */
const blockLimit = 1 << 24;
/** Huffman coding shortens to five eighths at best: below this no value has 64 KiB. */
const longLiteral = 32 * 1024;

interface OpenBlock {
  readonly flags: number;
  readonly stream: number;
  readonly parts: Buffer[];
  size: number;
}

/** Replaces the long values in the bytes of one direction of an HTTP/2 connection. */
export class LongFields {
  readonly #values = new Map<string, string>();
  #unread: Buffer = Buffer.alloc(0);
  /** Bytes of the current frame that are passed on without a look. */
  #passing = 0;
  #block: OpenBlock | undefined;

  /** The value that a field had. A mark is used once. */
  original(value: string): string {
    const long = this.#values.get(value);
    if (long === undefined) return value;
    this.#values.delete(value);
    return long;
  }

  /**
   * Takes the next bytes.
   * @returns the bytes to read in their place
   * @throws MalformedBlock when the connection can't be read any further
   */
  push(chunk: Buffer): Buffer[] {
    const out: Buffer[] = [];
    let bytes = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    while (bytes.length > 0) {
      const taken = this.#passing > 0 ? this.#pass(bytes, out) : this.#frame(bytes, out);
      if (taken === 0) break;
      bytes = bytes.subarray(taken);
    }
    this.#unread = bytes;
    return out;
  }

  #pass(bytes: Buffer, out: Buffer[]): number {
    const taken = Math.min(this.#passing, bytes.length);
    this.#passing -= taken;
    const before = out.at(-1);
    // Frames that came together go on together.
    if (before !== undefined && adjoins(before, bytes))
      out[out.length - 1] = Buffer.from(bytes.buffer, before.byteOffset, before.length + taken);
    else out.push(bytes.subarray(0, taken));
    return taken;
  }

  /** @returns how many bytes were taken: none while the frame isn't there as far as it is needed */
  #frame(bytes: Buffer, out: Buffer[]): number {
    if (bytes.length < frameHead) return 0;
    const length = bytes.readUIntBE(0, 3);
    const type = bytes.readUInt8(3);
    const flags = bytes.readUInt8(4);
    const wanted = type === continuation || (type === headers && (flags & endHeaders) === 0);
    if (!wanted) {
      this.#passing = frameHead + length;
      return this.#pass(bytes, out);
    }
    if (length > frameLimit) throw new MalformedBlock('a header frame is too long');
    if (bytes.length < frameHead + length) return 0;
    const content = bytes.subarray(frameHead, frameHead + length);
    if (type === headers) this.#open(flags, bytes.readUInt32BE(5), content);
    else this.#continue(flags, bytes.readUInt32BE(5), content, out);
    return frameHead + length;
  }

  #open(flags: number, stream: number, content: Buffer): void {
    const start = ((flags & padded) === 0 ? 0 : 1) + ((flags & prioritized) === 0 ? 0 : 5);
    const padding = (flags & padded) === 0 ? 0 : (content[0] ?? 0);
    const part = Buffer.from(content.subarray(start, Math.max(start, content.length - padding)));
    this.#block = { flags, stream, parts: [part], size: part.length };
  }

  #continue(flags: number, stream: number, content: Buffer, out: Buffer[]): void {
    const block = this.#block;
    if (block === undefined || block.stream !== stream) throw new MalformedBlock('a header block is broken');
    block.parts.push(Buffer.from(content));
    block.size += content.length;
    if (block.size > blockLimit) throw new MalformedBlock('a header block is too long');
    if ((flags & endHeaders) === 0) return;
    this.#block = undefined;
    out.push(...frames(this.#marked(Buffer.concat(block.parts)), block));
  }

  /** The block with marks in place of its long values (RFC 7541, section 6). */
  #marked(block: Buffer): Buffer {
    const out: Buffer[] = [];
    for (let at = 0; at < block.length; ) {
      const first = block.readUInt8(at);
      // An indexed field, or a new size of the table: an integer, and nothing else.
      if (first >= 128 || (first & 0xe0) === 32) {
        const [, next] = readInteger(block, at, first >= 128 ? 7 : 5);
        out.push(block.subarray(at, next));
        at = next;
        continue;
      }
      const indexing = first >= 64;
      const [name, behindIndex] = readInteger(block, at, indexing ? 6 : 4);
      const valueAt = name === 0 ? readLiteral(block, behindIndex).end : behindIndex;
      const value = readLiteral(block, valueAt);
      if (value.end - value.start <= longLiteral) out.push(block.subarray(at, value.end));
      else if (indexing) {
        // Such a field empties the table, which a mark wouldn't. No encoder gains by it.
        throw new MalformedBlock('a header field is longer than its table');
      } else out.push(block.subarray(at, valueAt), this.#mark(textOf(block, value)));
      at = value.end;
    }
    return Buffer.concat(out);
  }

  #mark(value: string): Buffer {
    const mark = randomUUID();
    this.#values.set(mark, value);
    return Buffer.concat([Buffer.from([mark.length]), Buffer.from(mark)]);
  }
}

function adjoins(before: Buffer, bytes: Buffer): boolean {
  return before.buffer === bytes.buffer && before.byteOffset + before.length === bytes.byteOffset;
}

/** A header block in frames of its own. */
function frames(block: Buffer, { flags, stream }: OpenBlock): Buffer[] {
  const out: Buffer[] = [];
  let at = 0;
  do {
    const part = block.subarray(at, at + frameLimit);
    const last = at + part.length >= block.length ? endHeaders : 0;
    const head = Buffer.alloc(frameHead);
    head.writeUIntBE(part.length, 0, 3);
    head.writeUInt8(at === 0 ? headers : continuation, 3);
    head.writeUInt8((at === 0 ? flags & endStream : 0) | last, 4);
    head.writeUInt32BE(stream, 5);
    out.push(head, part);
    at += part.length;
  } while (at < block.length);
  return out;
}

/**
 * The engine's connection as Node's HTTP/2 is to read it: without long values. It needs a socket of the kernel's own:
 * on other streams Node's sessions lose trailers and ends.
 * @throws SystemCallError when there are no descriptors left
 */
export function shortened(end: TunnelEnd, fields: LongFields): Socket {
  const [near, far] = socketPair();
  const engine = end.socket;
  far.on('drain', () => engine.resume());
  far.on('data', (chunk: Buffer) => {
    if (!engine.write(chunk)) far.pause();
  });
  engine.on('drain', () => far.resume());
  engine.on('end', () => far.end());
  far.on('end', () => engine.end());
  for (const socket of [engine, far]) {
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      engine.destroySoon();
      far.destroySoon();
    });
  }
  readEnd(end, {
    take: (bytes) => {
      try {
        for (const part of fields.push(bytes)) if (!far.write(part)) engine.pause();
      } catch {
        // What can't be cut into fields can't be read by Node either, which would give the connection up as well.
        engine.destroy();
      }
    },
    // Frames that came in part are kept.
    holdsNothing: false,
  });
  return near;
}
