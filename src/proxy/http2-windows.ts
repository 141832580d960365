/** Flow control of HTTP/2 (RFC 9113, sections 5.2 and 6.9): the same for a call as for its connection. */
import { Http2Broken, http2Error } from './http2-frames.js';

/** Every window before settings or updates (RFC 9113, section 6.9.2), in bytes. */
export const firstWindow = 65_535;
/** What a peer may send before it is told that it was read, in bytes: progress never waits for round trips. */
export const windowBytes = 1 << 20;
const largestWindow = 0x7fff_ffff;

/** How much the other side takes when its window of so many bytes grows, or shrinks. @throws Http2Broken beyond the largest */
export function grownWindow(window: number, bytes: number): number {
  const grown = window + bytes;
  if (grown > largestWindow) throw new Http2Broken(http2Error.flowControl, 'a window is too large');
  return grown;
}

/** A window of ours, of `windowBytes`. */
export class ReceiveWindow {
  /** Bytes that came in, of whose reading the other side doesn't know. */
  #unreported = 0;

  /** @throws Http2Broken when the other side sends more than it may */
  take(bytes: number): void {
    this.#unreported += bytes;
    if (this.#unreported > windowBytes)
      throw new Http2Broken(http2Error.flowControl, 'more was sent than the window allows');
  }

  /** What to tell the other side that it may send again, once that is worth a frame; 0 before. */
  report(): number {
    if (this.#unreported < windowBytes / 2) return 0;
    const bytes = this.#unreported;
    this.#unreported = 0;
    return bytes;
  }
}
