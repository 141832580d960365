/**
 * One call on an HTTP/2 connection to the engine: what is still to be sent of it, how much the engine may send, and
 * which side has ended. It must never take more of an answer than its window, nor send what the engine's windows don't
 * allow.
 *
 *     queued ──begin──▶ open ──both sides have ended, a reset, the connection's end──▶ closed
 */
import { type Fields, wellFormedAnswer, writeFields } from './hpack.js';
import {
  frameFlag,
  frameLimit,
  frameType,
  http2Error,
  writeFrame,
  writeHeaders,
  writeNumber,
} from './http2-frames.js';
import { grownWindow, ReceiveWindow } from './http2-windows.js';

/** What becomes of a call; `closed` comes last, and once. */
export interface CallReceiver {
  /** @param endStream nothing else comes */
  response(fields: Fields, endStream: boolean): void;
  /** The bytes stay as they are. */
  data(bytes: Buffer): void;
  trailers(fields: Fields): void;
  /** The answer is complete. */
  ended(): void;
  /** The call takes more of the request again. */
  drained(): void;
  /** @param code of RFC 9113, section 7; 0 as well when the engine wants no more of the request */
  closed(code: number): void;
}

/** What a call needs of its connection. */
export interface CallOwner {
  /** Sends a frame behind those that were given before. */
  send(frame: Buffer): void;
  /** The call has something to send, as soon as the windows allow. */
  waits(call: EngineCall): void;
  /** The call is over. */
  over(call: EngineCall): void;
}

/** With this much waiting a call takes no more of its request, in bytes. */
const waitingLimit = 64 * 1024;

export class EngineCall {
  readonly #fields: Fields;
  readonly #owner: CallOwner;
  readonly #receiver: CallReceiver;
  /** 0 before the call has begun. */
  #id = 0;
  #sendWindow = 0;
  #waiting: Buffer[] = [];
  #waitingSize = 0;
  #full = false;
  /** No more of the request is given. */
  #given: boolean;
  #localEnded = false;
  #remoteEnded = false;
  #answered = false;
  #closed = false;
  #paused = false;
  readonly #receiveWindow = new ReceiveWindow();

  /** @param endStream the request has no content */
  constructor(fields: Fields, endStream: boolean, receiver: CallReceiver, owner: CallOwner) {
    this.#fields = fields;
    this.#given = endStream;
    this.#receiver = receiver;
    this.#owner = owner;
  }

  get id(): number {
    return this.#id;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sends the head. @param sendWindow how much the engine takes of each call, in bytes */
  begin(id: number, sendWindow: number): void {
    this.#id = id;
    this.#sendWindow = sendWindow;
    const endStream = this.#given && this.#waitingSize === 0;
    for (const frame of writeHeaders(id, writeFields(this.#fields), endStream)) this.#owner.send(frame);
    if (endStream) this.#localEnded = true;
    else this.#owner.waits(this);
  }

  /** Gives more of the request. @returns whether the call takes more right now; `drained` tells when it does again */
  write(bytes: Buffer): boolean {
    if (this.#closed || this.#given) return true;
    this.#waiting.push(bytes);
    this.#waitingSize += bytes.length;
    this.#owner.waits(this);
    this.#full = this.#waitingSize >= waitingLimit;
    return !this.#full;
  }

  /** Nothing more of the request comes. */
  end(): void {
    if (this.#closed || this.#given) return;
    this.#given = true;
    this.#owner.waits(this);
  }

  /**
   * The next frame of the request.
   * @param connectionWindow how much the engine takes on the connection, in bytes
   * @returns undefined when nothing can be sent now
   */
  nextFrame(connectionWindow: number): { readonly frame: Buffer; readonly size: number } | undefined {
    if (this.#closed || this.#id === 0 || this.#localEnded) return undefined;
    const size = Math.min(this.#waitingSize, connectionWindow, this.#sendWindow, frameLimit);
    const last = this.#given && size === this.#waitingSize;
    if (size <= 0 && !(last && this.#waitingSize === 0)) return undefined;
    const content = this.#take(size);
    this.#sendWindow -= size;
    if (last) this.#localEnded = true;
    const frame = writeFrame(frameType.data, last ? frameFlag.endStream : 0, this.#id, content);
    return { frame, size };
  }

  #take(size: number): Buffer {
    const waiting = this.#waiting.length === 1 ? this.#waiting[0] : Buffer.concat(this.#waiting);
    if (waiting === undefined) return Buffer.alloc(0);
    this.#waiting = waiting.length > size ? [waiting.subarray(size)] : [];
    this.#waitingSize -= size;
    return waiting.subarray(0, size);
  }

  /** Told behind a frame that was sent. */
  sent(): void {
    if (this.#full && this.#waitingSize < waitingLimit) {
      this.#full = false;
      this.#receiver.drained();
    }
    this.#finishIfEnded();
  }

  /** The engine takes so much more, or less. @throws Http2Broken when a window is too large (RFC 9113, section 6.9.1) */
  growWindow(bytes: number): void {
    this.#sendWindow = grownWindow(this.#sendWindow, bytes);
    this.#owner.waits(this);
  }

  takeFields(fields: Fields, endStream: boolean): void {
    const trailers = this.#answered;
    if (this.#remoteEnded || !wellFormedAnswer(fields, trailers) || (trailers && !endStream)) {
      this.close(http2Error.protocol);
      return;
    }
    // What comes before the answer itself (100 Continue) is nothing that gRPC knows.
    if (!trailers && fields[1]?.startsWith('1') === true) return;
    this.#answered = true;
    if (trailers) this.#receiver.trailers(fields);
    else this.#receiver.response(fields, endStream);
    if (endStream) this.#endRemote();
  }

  /**
   * @param size what the frame counts for in the windows, in bytes
   * @throws Http2Broken when the engine sends more than it may
   */
  takeData(bytes: Buffer, size: number, endStream: boolean): void {
    this.#receiveWindow.take(size);
    if (!this.#answered || this.#remoteEnded) {
      this.close(http2Error.protocol);
      return;
    }
    if (bytes.length > 0) this.#receiver.data(bytes);
    if (endStream) this.#endRemote();
    else if (!this.#paused) this.#report();
  }

  /** Takes no more of the answer than what the engine may send already. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#report();
  }

  #report(): void {
    if (this.#closed) return;
    const bytes = this.#receiveWindow.report();
    if (bytes > 0) this.#owner.send(writeNumber(frameType.windowUpdate, this.#id, bytes));
  }

  #endRemote(): void {
    if (this.#closed) return;
    this.#remoteEnded = true;
    this.#receiver.ended();
    this.#finishIfEnded();
  }

  #finishIfEnded(): void {
    if (this.#localEnded && this.#remoteEnded) this.finish(http2Error.none);
  }

  /** Gives the call up, and tells the engine. */
  close(code: number): void {
    if (this.#closed) return;
    if (this.#id !== 0) this.#owner.send(writeNumber(frameType.resetStream, this.#id, code));
    this.finish(code);
  }

  /** The call is over, and the engine knows. */
  finish(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#owner.over(this);
    this.#receiver.closed(code);
  }
}
