/**
 * Frames of HTTP/2 (RFC 9113, section 4 and 6): cut out of a connection's bytes, and written. It must never give out a
 * frame that isn't complete or is longer than we said that we take.
 */

/** RFC 9113, section 6. */
export const frameType = {
  data: 0,
  headers: 1,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const frameFlag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** RFC 9113, section 7. */
export const http2Error = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

/** Longest content of a frame, in bytes: what both sides keep to unless they say otherwise (RFC 9113, section 4.2). */
export const frameLimit = 16_384;

const headBytes = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** 0 for the connection itself. */
  readonly stream: number;
  readonly content: Buffer;
}

/** What makes a connection unusable. */
export class Http2Broken extends Error {
  /** An error code of RFC 9113, section 7. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export class FrameReader {
  #unread: Buffer | undefined;

  /**
   * Takes the next bytes, which must stay as they are.
   * @returns the frames that are complete now
   * @throws Http2Broken for a frame that is too long
   */
  push(chunk: Buffer): Frame[] {
    const bytes = this.#unread === undefined ? chunk : Buffer.concat([this.#unread, chunk]);
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.length - at >= headBytes) {
      const length = bytes.readUIntBE(at, 3);
      if (length > frameLimit) throw new Http2Broken(http2Error.frameSize, 'a frame is too long');
      const start = at + headBytes;
      if (bytes.length < start + length) break;
      frames.push({
        type: bytes.readUInt8(at + 3),
        flags: bytes.readUInt8(at + 4),
        stream: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
        content: bytes.subarray(start, start + length),
      });
      at = start + length;
    }
    this.#unread = at === bytes.length ? undefined : bytes.subarray(at);
    return frames;
  }
}

/** A frame as it is sent. @param content no longer than `frameLimit` */
export function writeFrame(type: number, flags: number, stream: number, content: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + content.length);
  frame.writeUIntBE(content.length, 0, 3);
  frame.writeUInt8(type, 3);
  frame.writeUInt8(flags, 4);
  frame.writeUInt32BE(stream, 5);
  frame.set(content, headBytes);
  return frame;
}

/** A header block in as many frames as it needs (RFC 9113, section 6.10). */
export function writeHeaders(stream: number, block: Buffer, endStream: boolean): Buffer[] {
  const frames: Buffer[] = [];
  let at = 0;
  do {
    const part = block.subarray(at, at + frameLimit);
    const last = at + part.length >= block.length ? frameFlag.endHeaders : 0;
    const first = at === 0 && endStream ? frameFlag.endStream : 0;
    frames.push(
      writeFrame(at === 0 ? frameType.headers : frameType.continuation, first | last, stream, part),
    );
    at += part.length;
  } while (at < block.length);
  return frames;
}

/** A frame of one number of 32 bits, on a stream or on the connection (0). */
export function writeNumber(type: number, stream: number, number: number): Buffer {
  const content = Buffer.allocUnsafe(4);
  content.writeUInt32BE(number, 0);
  return writeFrame(type, 0, stream, content);
}

/** Settings: their identifiers and values (RFC 9113, section 6.5). */
export function writeSettings(settings: ReadonlyMap<number, number>): Buffer {
  const content = Buffer.allocUnsafe(settings.size * 6);
  let at = 0;
  for (const [identifier, value] of settings) {
    content.writeUInt16BE(identifier, at);
    content.writeUInt32BE(value, at + 2);
    at += 6;
  }
  return writeFrame(frameType.settings, 0, 0, content);
}

/** What a frame of settings says. @throws Http2Broken when it can't be cut into settings */
export function readSettings(content: Buffer): Map<number, number> {
  if (content.length % 6 !== 0) throw new Http2Broken(http2Error.frameSize, 'settings are cut off');
  const settings = new Map<number, number>();
  for (let at = 0; at < content.length; at += 6)
    settings.set(content.readUInt16BE(at), content.readUInt32BE(at + 2));
  return settings;
}

/** A frame's content without padding and priority. @throws Http2Broken when it has less than it says */
export function unpadded({ type, flags, content }: Frame): Buffer {
  const padded = (flags & frameFlag.padded) !== 0;
  const priority = type === frameType.headers && (flags & frameFlag.priority) !== 0;
  const start = (padded ? 1 : 0) + (priority ? 5 : 0);
  const end = content.length - (padded ? (content[0] ?? 0) : 0);
  if (end < start) throw new Http2Broken(http2Error.protocol, 'a frame is shorter than its padding');
  return content.subarray(start, end);
}
