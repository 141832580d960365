/**
 * One connection to the engine: sends one request at a time and reads the answers strictly.
 * Whatever the engine sends beyond the answer that was asked for ends the connection: it must never become the answer
 * to somebody else's request (response queue poisoning).
 */
import { connect, type Socket } from 'node:net';
import type { AnswerHead } from './answer-head.js';
import { ProxyError } from './errors.js';
import { headEnd, MalformedHead } from './fields.js';
import {
  type BodyFraming,
  ChunkedFraming,
  emptyFraming,
  LengthFraming,
  MalformedBody,
  untilCloseFraming,
} from './framing.js';
import { headLimit } from './head.js';
import { lastAnswerHead, readAnswerHead } from './head-memory.js';
import { type BytesTaker, SocketReader } from './socket-reader.js';
import type { TunnelEnd } from './tunnel-end.js';

/** Bytes that may wait in a socket before its source is paused. */
export const writeBufferBytes = 256 * 1024;

/** Takes the answer to one request as it comes in. Calls come in the order of the methods below. */
export interface AnswerReceiver {
  /** A 1xx answer other than 101, with its bytes. */
  interim(head: AnswerHead, bytes: Buffer): void;
  /**
   * The answer's head. `bytes` holds the head, and from `bodyStart` the part of the body that came along with it.
   * @returns `tunnel` to take the connection over as raw bytes: then `tunnel` is called, and nothing else
   */
  head(head: AnswerHead, bytes: Buffer, bodyStart: number): 'http' | 'tunnel';
  /** The connection is the receiver's. */
  tunnel(engine: TunnelEnd): void;
  /** More of the body, with its chunk framing if it has one. */
  body(bytes: Buffer): void;
  /** The engine takes bytes of the request again. */
  drained(): void;
  /** The answer is complete. */
  complete(): void;
  /** The answer can't be completed; nothing else is called. */
  failed(error: ProxyError): void;
  /** Whether every byte that was given is passed on or forgotten. */
  readonly holdsNothing: boolean;
}

/** What `connectToEngine` needs to know of its surroundings. */
export interface EngineConnectionOwner {
  /** The connection is idle again and may carry another request. */
  idle(connection: EngineConnection): void;
  /** The connection is gone. */
  closed(connection: EngineConnection): void;
}

export class EngineConnection implements BytesTaker {
  readonly socket: Socket;
  readonly #owner: EngineConnectionOwner;
  readonly #once: boolean;
  readonly #reader = new SocketReader(this);
  #receiver: AnswerReceiver | undefined;
  #method = 'GET';
  #unread: Buffer | undefined;
  #framing: BodyFraming | undefined;
  #keepAlive = false;
  #requestSent = false;
  #ended = false;
  #requests = 0;
  #holdsNothing = true;

  /**
   * @param path the engine's unix socket
   * @param options.once the connection carries one request only
   */
  constructor(path: string, owner: EngineConnectionOwner, { once }: { once: boolean }) {
    this.#owner = owner;
    this.#once = once;
    // The last option is missing in the types of net.connect, which hands it on to the stream.
    const { onread } = this.#reader;
    const options = { path, allowHalfOpen: true, onread, highWaterMark: writeBufferBytes };
    this.socket = connect(options);
    this.socket.on('end', this.#onEnd);
    this.socket.on('drain', this.#onDrain);
    this.socket.on('error', this.#onError);
    this.socket.on('close', this.#onClose);
  }

  /** True while the connection can be given to a request. */
  get usable(): boolean {
    return !this.#ended && this.socket.writable && !this.socket.destroyed;
  }

  /** True when the connection carried an earlier request, so that the engine may have closed it meanwhile. */
  get reused(): boolean {
    return this.#requests > 1;
  }

  /** Begins a request: the caller then writes it to `socket` and calls `requestSent` behind its last byte. */
  begin(method: string, receiver: AnswerReceiver): void {
    this.#requests++;
    this.#method = method;
    this.#receiver = receiver;
    this.#requestSent = false;
    this.#framing = undefined;
  }

  /** The request is written completely, so that the connection can be used again once the answer is complete. */
  requestSent(): void {
    this.#requestSent = true;
  }

  /** Hands the connection over before anything was sent on it: its events are another's now. */
  handOver(): TunnelEnd {
    return this.#release(Buffer.alloc(0));
  }

  /** Ends the connection at once, without telling the receiver. */
  abandon(): void {
    this.#receiver = undefined;
    this.socket.destroy();
  }

  get holdsNothing(): boolean {
    return this.#holdsNothing;
  }

  take(chunk: Buffer): void {
    // With the last bytes of an answer its receiver is done, and may hold them all the same.
    const receiver = this.#receiver;
    try {
      this.#read(chunk);
    } catch (error) {
      this.#fail(answerError(error));
    }
    this.#holdsNothing = this.#unread === undefined && receiver?.holdsNothing !== false;
  }

  #read(chunk: Buffer): void {
    if (this.#receiver === undefined) {
      this.socket.destroy();
    } else if (this.#framing !== undefined) this.#readBody(this.#receiver, this.#framing, chunk);
    else this.#readHead(this.#receiver, chunk);
  }

  #readHead(receiver: AnswerReceiver, chunk: Buffer): void {
    const last = this.#unread === undefined ? lastAnswerHead(chunk, this.#method) : undefined;
    if (last !== undefined) {
      this.#takeHead(receiver, last.head, chunk, last.bytes.length);
      return;
    }
    const scanned = this.#unread?.length ?? 0;
    const bytes = this.#unread === undefined ? chunk : Buffer.concat([this.#unread, chunk]);
    const end = headEnd(bytes, 0, scanned);
    if (end === -1) {
      if (bytes.length > headLimit) throw new MalformedHead('head too large');
      this.#unread = bytes;
      return;
    }
    this.#unread = undefined;
    this.#takeHead(receiver, readAnswerHead(bytes.subarray(0, end), this.#method), bytes, end);
  }

  #takeHead(receiver: AnswerReceiver, head: AnswerHead, bytes: Buffer, end: number): void {
    if (head.status < 200 && head.status !== 101) {
      receiver.interim(head, bytes.subarray(0, end));
      if (bytes.length > end) this.#readHead(receiver, bytes.subarray(end));
      return;
    }
    this.#startBody(receiver, head, bytes, end);
  }

  #startBody(receiver: AnswerReceiver, head: AnswerHead, bytes: Buffer, start: number): void {
    const framing = answerBodyFraming(head);
    this.#framing = framing;
    this.#keepAlive = head.keepAlive;
    const end = framing.advance(bytes, start);
    if (receiver.head(head, end === bytes.length ? bytes : bytes.subarray(0, end), start) === 'tunnel') {
      receiver.tunnel(this.#release(bytes.subarray(start)));
      return;
    }
    if (framing.finished) this.#finish(receiver, bytes.length > end);
  }

  #readBody(receiver: AnswerReceiver, framing: BodyFraming, chunk: Buffer): void {
    const end = framing.advance(chunk, 0);
    if (end > 0) receiver.body(end === chunk.length ? chunk : chunk.subarray(0, end));
    if (framing.finished) this.#finish(receiver, chunk.length > end);
  }

  #finish(receiver: AnswerReceiver, excess: boolean): void {
    this.#receiver = undefined;
    this.#framing = undefined;
    const reusable = this.#keepAlive && this.#requestSent && !excess && this.usable;
    if (reusable && !this.#once) this.#owner.idle(this);
    else this.socket.destroy();
    receiver.complete();
  }

  /** Hands the socket over, with the bytes that came along with the head: its events are another's now. */
  #release(early: Buffer): TunnelEnd {
    this.#receiver = undefined;
    this.socket.off('end', this.#onEnd);
    this.socket.off('drain', this.#onDrain);
    this.socket.pause();
    const { socket } = this;
    return { socket, reader: this.#reader, early: early.length > 0 ? early : undefined, ended: false };
  }

  #onEnd = (): void => {
    this.#ended = true;
    const receiver = this.#receiver;
    if (receiver !== undefined && this.#framing === untilCloseFraming) this.#finish(receiver, false);
    else
      this.#fail(
        new ProxyError('COFFERDAM_ENGINE_AWAY', 'the engine closed the connection before it answered'),
      );
  };

  #onDrain = (): void => this.#receiver?.drained();

  #onError = (error: Error): void => {
    this.#fail(
      new ProxyError('COFFERDAM_ENGINE_AWAY', `the Docker engine can't be reached: ${error.message}`, {
        cause: error,
      }),
    );
  };

  #onClose = (): void => {
    this.#fail(new ProxyError('COFFERDAM_ENGINE_AWAY', 'the connection to the Docker engine broke'));
    this.#owner.closed(this);
  };

  #fail(error: ProxyError): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    this.socket.destroy();
    receiver?.failed(error);
  }
}

function answerBodyFraming(head: AnswerHead): BodyFraming {
  switch (head.framing.kind) {
    case 'none':
      return emptyFraming;
    case 'length':
      return new LengthFraming(head.framing.length);
    case 'chunked':
      return new ChunkedFraming({ allowTrailers: true });
    case 'until-close':
      return untilCloseFraming;
  }
}

function answerError(error: unknown): ProxyError {
  if (error instanceof MalformedHead || error instanceof MalformedBody) {
    return new ProxyError(
      'COFFERDAM_ENGINE_ANSWER',
      `the engine's answer is not valid HTTP: ${error.message}`,
    );
  }
  if (error instanceof ProxyError) return error;
  return new ProxyError('COFFERDAM_INTERNAL', 'the answer could not be passed on', { cause: error });
}
