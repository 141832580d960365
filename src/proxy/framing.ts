/**
 * Finds where a message body ends while its bytes are passed on (RFC 9112, sections 6 and 7).
 * Bodies aren't copied or kept: a framing looks at each buffer and says up to where it belongs to the body. Chunked
 * bodies keep their chunk framing on the way, so every byte of it is checked: a size that two parsers could read
 * differently, an extension, or a trailer in a request is an error.
 */
import { MalformedHead, parseFields } from './fields.js';

/** A body whose framing is broken. The message says what is wrong, in a few words. */
export class MalformedBody extends Error {}

export interface BodyFraming {
  /** True once the whole body was seen. */
  readonly finished: boolean;
  /**
   * Looks at the next bytes.
   * @param payload gets the body's content without framing, when given
   * @returns the index behind the last byte that belongs to the body
   * @throws MalformedBody
   */
  advance(bytes: Buffer, from: number, payload?: Buffer[]): number;
}

/** No body at all. */
export const emptyFraming: BodyFraming = { finished: true, advance: (_bytes, from) => from };

/** A body of a known length in bytes. */
export class LengthFraming implements BodyFraming {
  #remaining: number;

  constructor(length: number) {
    this.#remaining = length;
  }

  get finished(): boolean {
    return this.#remaining === 0;
  }

  advance(bytes: Buffer, from: number, payload?: Buffer[]): number {
    const taken = Math.min(this.#remaining, bytes.length - from);
    this.#remaining -= taken;
    payload?.push(bytes.subarray(from, from + taken));
    return from + taken;
  }
}

/** A body that ends with its connection. */
export const untilCloseFraming: BodyFraming = {
  finished: false,
  advance: (bytes, from, payload) => {
    payload?.push(bytes.subarray(from));
    return bytes.length;
  },
};

const CR = 13;
const LF = 10;
const trailerLimit = 1 << 16;
/** Hex digits of a chunk size: 13 are exact in a double. */
const sizeDigits = 13;

type ChunkState = 'size' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailer' | 'end';

/**
 * A chunked body:
 *
 *     size ──CR──▶ size-lf ──LF, >0──▶ data ──▶ data-cr ──CR──▶ data-lf ──LF──▶ size
 *                     └─────LF, 0────▶ trailer ──empty line──▶ end
 */
export class ChunkedFraming implements BodyFraming {
  readonly #allowTrailers: boolean;
  #state: ChunkState = 'size';
  #size = 0;
  #digits = 0;
  #remaining = 0;
  #trailers = '';

  constructor(options: { allowTrailers: boolean }) {
    this.#allowTrailers = options.allowTrailers;
  }

  get finished(): boolean {
    return this.#state === 'end';
  }

  advance(bytes: Buffer, from: number, payload?: Buffer[]): number {
    let at = from;
    while (at < bytes.length && this.#state !== 'end') {
      if (this.#state === 'data') {
        const end = Math.min(bytes.length, at + this.#remaining);
        payload?.push(bytes.subarray(at, end));
        this.#remaining -= end - at;
        at = end;
        if (this.#remaining === 0) this.#state = 'data-cr';
      } else this.#step(bytes[at++] ?? 0);
    }
    return at;
  }

  #step(byte: number): void {
    switch (this.#state) {
      case 'size':
        this.#readSize(byte);
        return;
      case 'size-lf':
        if (byte !== LF) throw new MalformedBody('malformed chunk size');
        this.#remaining = this.#size;
        this.#state = this.#size === 0 ? 'trailer' : 'data';
        this.#size = 0;
        this.#digits = 0;
        return;
      case 'data-cr':
        if (byte !== CR) throw new MalformedBody('chunk longer than its size');
        this.#state = 'data-lf';
        return;
      case 'data-lf':
        if (byte !== LF) throw new MalformedBody('malformed end of chunk');
        this.#state = 'size';
        return;
      default:
        this.#readTrailer(byte);
        return;
    }
  }

  #readSize(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0 && this.#digits < sizeDigits) {
      this.#size = this.#size * 16 + digit;
      this.#digits++;
    } else if (byte === CR && this.#digits > 0) this.#state = 'size-lf';
    else throw new MalformedBody('malformed chunk size');
  }

  #readTrailer(byte: number): void {
    this.#trailers += String.fromCharCode(byte);
    if (this.#trailers === '\r\n') this.#state = 'end';
    else if (!this.#allowTrailers && this.#trailers !== '\r')
      throw new MalformedBody('trailers are not accepted');
    else if (this.#trailers.length > trailerLimit) throw new MalformedBody('trailers too large');
    else if (this.#trailers.endsWith('\r\n\r\n')) {
      this.#checkTrailers();
      this.#state = 'end';
    }
  }

  #checkTrailers(): void {
    try {
      for (const { key } of parseFields(this.#trailers, 0)) {
        if (forbiddenTrailers.has(key)) throw new MalformedBody(`${key} is not allowed as a trailer`);
      }
    } catch (error) {
      if (error instanceof MalformedHead) throw new MalformedBody('malformed trailers');
      throw error;
    }
  }
}

/** Fields that would change the framing or routing if somebody merged trailers into the head (RFC 9110, 6.5.1). */
const forbiddenTrailers = new Set([
  'transfer-encoding',
  'content-length',
  'host',
  'connection',
  'upgrade',
  'trailer',
]);

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
