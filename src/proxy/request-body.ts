/**
 * The body of one request while it comes in from the client: held back until the request was judged, then collected,
 * streamed on, or thrown away. It must never give out a byte before somebody asked for it, and never keep more in
 * memory than a limit.
 */
import { ProxyError } from './errors.js';
import { type BodyFraming, ChunkedFraming, emptyFraming, LengthFraming, MalformedBody } from './framing.js';
import type { RequestFraming } from './head.js';

/** Where the bytes of a body go, with their chunk framing if they have one. */
export interface BodySink {
  /** @returns false to be given nothing more until `RequestBody.resume` */
  write(bytes: Buffer): boolean;
  end(): void;
  failed(error: ProxyError): void;
  /** True when every byte that was written is passed on or forgotten; absent where that can't be told. */
  readonly holdsNothing?: boolean;
}

/** The client's socket, as far as the body may slow it down. */
export interface Throttle {
  pause(): void;
  resume(): void;
}

const nowhere: BodySink = {
  write: () => true,
  end: () => undefined,
  failed: () => undefined,
  holdsNothing: true,
};

/** Somebody who wants to see how a body begins. */
interface BeginAwaited {
  readonly count: number;
  resolve(begin: Buffer): void;
  reject(error: ProxyError): void;
}

export class RequestBody {
  readonly kind: RequestFraming['kind'];
  /** Length in bytes that the head announced, if it did. */
  readonly announced: number | undefined;
  readonly #framing: BodyFraming;
  readonly #throttle: Throttle;
  readonly #held: Buffer[] = [];
  #sink: BodySink | undefined;
  #sinkIsFull = false;
  #failure: ProxyError | undefined;
  #beginAwaited: BeginAwaited | undefined;

  constructor(framing: RequestFraming, throttle: Throttle) {
    this.kind = framing.kind;
    this.announced = framing.kind === 'length' ? framing.length : undefined;
    this.#framing = bodyFraming(this.kind, this.announced);
    this.#throttle = throttle;
  }

  /** True once the whole body came in, wherever it went. */
  get finished(): boolean {
    return this.#framing.finished;
  }

  /** Whether every byte that came in is passed on or forgotten. */
  get holdsNothing(): boolean {
    return this.#held.length === 0 && (this.#sink === undefined || this.#sink.holdsNothing === true);
  }

  /**
   * Takes the next bytes from the client.
   * @returns the index behind the body's last byte: what follows is the next request's
   */
  push(bytes: Buffer): number {
    if (this.#failure !== undefined) return bytes.length;
    let end: number;
    try {
      end = this.#framing.advance(bytes, 0);
    } catch (error) {
      const reason = error instanceof MalformedBody ? error.message : 'unreadable';
      this.#fail(new ProxyError('COFFERDAM_BAD_BODY', `bad request body: ${reason}`, { cause: error }));
      return bytes.length;
    }
    this.#give(end === bytes.length ? bytes : bytes.subarray(0, end));
    if (this.#framing.finished) this.#sink?.end();
    return end;
  }

  /**
   * How the body begins, with its chunk framing if it has one: so many bytes, or all there are. They are not taken.
   * @throws ProxyError (rejects) when it breaks off before
   */
  begin(count: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#beginAwaited = { count, resolve, reject };
      this.#tellBegin();
      if (this.#beginAwaited !== undefined) this.#throttle.resume();
    });
  }

  #tellBegin(): void {
    const awaited = this.#beginAwaited;
    if (awaited === undefined) return;
    const size = this.#held.reduce((sum, { length }) => sum + length, 0);
    if (this.#failure === undefined && size < awaited.count && !this.finished) return;
    this.#beginAwaited = undefined;
    if (this.#failure === undefined) awaited.resolve(Buffer.concat(this.#held).subarray(0, awaited.count));
    else awaited.reject(this.#failure);
  }

  /** The client sends nothing more: an unfinished body stays unfinished. */
  truncated(): void {
    if (!this.finished) this.#fail(new ProxyError('COFFERDAM_BAD_BODY', 'the request body ends too early'));
  }

  /** Sends the body to a sink, first what was held back. */
  streamTo(sink: BodySink): void {
    if (this.kind === 'none') {
      sink.end();
      return;
    }
    this.#sink = sink;
    if (this.#failure !== undefined) {
      sink.failed(this.#failure);
      return;
    }
    for (const bytes of this.#held.splice(0)) this.#give(bytes);
    if (this.finished) sink.end();
    else if (!this.#sinkIsFull) this.#throttle.resume();
  }

  /** The sink takes bytes again. */
  resume(): void {
    this.#sinkIsFull = false;
    if (!this.finished) this.#throttle.resume();
  }

  /** Reads and drops the rest, so that the client gets to read its answer. */
  discard(): void {
    if (this.kind === 'none') return;
    this.#held.length = 0;
    this.#sink = nowhere;
    this.resume();
  }

  /**
   * Collects the body's content without its framing.
   * @param limit most bytes that are accepted
   * @throws ProxyError (413 above the limit, 400 when it is malformed or ends too early)
   */
  collect(limit: number): Promise<Buffer> {
    const tooLarge = new ProxyError(
      'COFFERDAM_BODY_TOO_LARGE',
      `the request body is larger than ${limit} bytes`,
    );
    if ((this.announced ?? 0) > limit) return Promise.reject(tooLarge);
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      let size = 0;
      this.streamTo({
        write: (bytes) => {
          size += bytes.length;
          if (size > limit) this.#fail(tooLarge);
          else parts.push(bytes);
          return true;
        },
        end: () => resolve(this.#content(parts)),
        failed: reject,
      });
    });
  }

  #content(parts: readonly Buffer[]): Buffer {
    const bytes = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    if (this.kind !== 'chunked') return bytes;
    const payload: Buffer[] = [];
    new ChunkedFraming({ allowTrailers: false }).advance(bytes, 0, payload);
    return Buffer.concat(payload);
  }

  #give(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#sink === undefined) {
      this.#held.push(bytes);
      this.#tellBegin();
      if (!this.finished && this.#beginAwaited === undefined) this.#throttle.pause();
    } else if (!this.#sink.write(bytes)) {
      this.#sinkIsFull = true;
      if (!this.finished) this.#throttle.pause();
    }
  }

  #fail(error: ProxyError): void {
    this.#failure = error;
    this.#tellBegin();
    this.#sink?.failed(error);
  }
}

/** The body of every request without one: nothing ever happens to it. */
export const noBody = new RequestBody({ kind: 'none' }, { pause: () => undefined, resume: () => undefined });

/** A fresh framing for a body of this kind. @param announced the length of a body of a known one */
export function bodyFraming(kind: RequestFraming['kind'], announced: number | undefined): BodyFraming {
  if (kind === 'none') return emptyFraming;
  return kind === 'length' ? new LengthFraming(announced ?? 0) : new ChunkedFraming({ allowTrailers: false });
}
