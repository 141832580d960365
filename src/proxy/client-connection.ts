/**
 * One client's connection: cuts the incoming bytes into requests, one after the other, and hands each to the spine.
 * Requests that were sent ahead (pipelining) wait until their predecessor is answered. It must never let bytes of one
 * request become part of another, and never read ahead without a limit.
 *
 *     idle ──bytes──▶ head ──complete──▶ exchange ──answered──▶ idle
 *                       └──malformed──▶ refused, closing    └──hijacked──▶ tunnel: the socket is somebody else's
 */
import type { Socket } from 'node:net';
import type { AuditedCaller } from '../audit/record.js';
import type { JudgedRequest } from '../rules/rule.js';
import { processName } from '../system/process-identity.js';
import type { Caller } from '../uid-allocator/record.js';
import type { EarlierJudgement } from './earlier-judgement.js';
import { writeBufferBytes } from './engine-connection.js';
import { ProxyError } from './errors.js';
import { Exchange } from './exchange.js';
import { hasBareLineFeed, headEnd } from './fields.js';
import { destroyOnHangUp } from './hang-up.js';
import { headLimit, type RequestHead } from './head.js';
import { type ReadHead, readRequestHead } from './head-memory.js';
import { priorKnowledge, readPreface } from './http2-preface.js';
import { type BytesTaker, readAccepted, SocketReader } from './socket-reader.js';
import type { TunnelEnd } from './tunnel-end.js';

/** How long a client may take to send a head that it has begun, in milliseconds. */
const headMilliseconds = 60_000;
/** How long bytes are still read from a client whose connection is being closed, in milliseconds. */
const lingerMilliseconds = 500;
/** Bytes that may be sent ahead while a request is being answered. */
const aheadLimit = 1 << 16;
const nothing = Buffer.alloc(0);

/** The client's end of a tunnel. */
export interface ClientEnd extends TunnelEnd {
  /** Sets what ends the tunnel in good order, to be called once no new requests are taken. */
  whenDraining(end: () => void): void;
}

export interface ClientConnectionOwner {
  /** True once no new requests are to be taken. */
  readonly draining: boolean;
  /** A complete and well-formed head came in. */
  handle(exchange: Exchange): void;
  /** A request that couldn't be read: it is answered, and only needs its record. */
  malformed(exchange: Exchange, error: ProxyError): void;
  closed(connection: ClientConnection): void;
}

export class ClientConnection implements BytesTaker {
  readonly socket: Socket;
  readonly caller: Caller;
  /** The caller with what its process called itself when it connected. One object for all records of its requests. */
  readonly auditedCaller: AuditedCaller;
  /** What its last request was found to be. */
  earlier: EarlierJudgement | undefined;
  readonly #owner: ClientConnectionOwner;
  readonly #reader = new SocketReader(this);
  #exchange: Exchange | undefined;
  #ahead: Buffer | undefined;
  #headTimer: NodeJS.Timeout | undefined;
  #ended = false;
  #closing = false;
  #tunnel = false;
  #endTunnel: (() => void) | undefined;
  /** Its last head that was read: the same bytes again need not be read. */
  #last: ReadHead<RequestHead> | undefined;
  /** What led to the tunnel. */
  #tunnelled: JudgedRequest | undefined;

  /**
   * @param accepted the socket as it was accepted, paused: it is taken over
   * @throws SystemCallError when there are no descriptors left
   */
  constructor(accepted: Socket, caller: Caller, owner: ClientConnectionOwner) {
    const socket = readAccepted(accepted, this.#reader, writeBufferBytes);
    this.socket = socket;
    this.caller = caller;
    const command = processName(caller.pid);
    this.auditedCaller = command === undefined ? caller : { ...caller, command };
    this.#owner = owner;
    socket.on('end', this.#onEnd);
    socket.on('drain', this.#onDrain);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** True while no request is being read or answered. */
  get idle(): boolean {
    return this.#exchange === undefined && !this.#tunnel;
  }

  /** What the connection is used for: nothing now, a request, an endless answer, or raw bytes both ways. */
  get use(): 'idle' | 'request' | 'stream' | 'tunnel' {
    if (this.#tunnel) return 'tunnel';
    if (this.#exchange === undefined) return 'idle';
    return this.#exchange.findings.routed?.route.answer === 'stream' ? 'stream' : 'request';
  }

  /** The request that is under way, or became a tunnel. */
  get asked(): JudgedRequest | undefined {
    return this.#exchange?.findings.asked ?? this.#tunnelled;
  }

  /** Ends the connection once the answers under way are written. */
  closeWhenIdle(): void {
    if (this.#tunnel) this.#endTunnel?.();
    else if (this.idle) this.#close();
  }

  /**
   * The exchange is answered completely.
   * @param keepAlive whether the connection may go on: never when the end of the request or answer is in doubt
   */
  answered(exchange: Exchange, keepAlive: boolean): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    if (!keepAlive || !exchange.body.finished || this.#owner.draining) {
      exchange.body.discard();
      this.#close();
      return;
    }
    // A client that doesn't read its answers must not make us store them: its next request waits.
    if (!this.socket.writableNeedDrain) this.#next();
  }

  /** Goes on with what the client sent ahead, or with reading. */
  #next(): void {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined) this.#readHead(ahead, 0);
    if (this.#exchange !== undefined) return;
    if (this.#ended) this.#close();
    else this.socket.resume();
  }

  /** Hands the socket over for a tunnel, paused. */
  takeOver(): ClientEnd {
    this.#tunnel = true;
    this.#tunnelled = this.#exchange?.findings.asked;
    this.#exchange = undefined;
    this.socket.off('end', this.#onEnd);
    this.socket.off('drain', this.#onDrain);
    this.socket.pause();
    const early = this.#ahead;
    this.#ahead = undefined;
    const whenDraining = (end: () => void): void => {
      this.#endTunnel = end;
      if (this.#owner.draining) end();
    };
    return { socket: this.socket, reader: this.#reader, early, ended: this.#ended, whenDraining };
  }

  get holdsNothing(): boolean {
    return this.#ahead === undefined && this.#exchange?.body.holdsNothing !== false;
  }

  take(chunk: Buffer): void {
    if (this.#closing) return;
    const exchange = this.#exchange;
    if (exchange === undefined) {
      if (this.socket.writableNeedDrain) this.#hold(chunk);
      else this.#readHead(chunk, this.#ahead?.length ?? 0);
    } else if (exchange.body.finished) this.#hold(chunk);
    else {
      const end = exchange.body.push(chunk);
      if (end < chunk.length) this.#hold(chunk.subarray(end));
    }
  }

  #readHead(chunk: Buffer, scanned: number): void {
    const last = this.#last;
    if (last?.bytes !== undefined && this.#ahead === undefined && chunk.equals(last.bytes)) {
      this.#takeUp(new Exchange(this, last.head), nothing);
      return;
    }
    const bytes = this.#ahead === undefined ? chunk : Buffer.concat([this.#ahead, chunk]);
    this.#ahead = undefined;
    const end = headEnd(bytes, 0, scanned);
    if (end === -1 || end > headLimit) {
      this.#awaitHead(bytes, scanned);
      return;
    }
    const preface = this.#last === undefined ? readPreface(bytes) : 'none';
    if (preface === 'incomplete') {
      this.#awaitHead(bytes, scanned);
      return;
    }
    if (this.#headTimer !== undefined) this.#stopHeadTimer();
    if (preface === 'complete') {
      this.#takeUp(new Exchange(this, priorKnowledge), bytes);
      return;
    }
    try {
      this.#last = readRequestHead(bytes.subarray(0, end));
    } catch (error) {
      this.#refuse(error);
      return;
    }
    this.#takeUp(new Exchange(this, this.#last.head), bytes.subarray(end));
  }

  /** Hands a request to the spine, with the bytes behind its head. */
  #takeUp(exchange: Exchange, behind: Buffer): void {
    this.#exchange = exchange;
    const bodyEnd = behind.length > 0 ? exchange.body.push(behind) : 0;
    if (bodyEnd < behind.length) this.#hold(bodyEnd === 0 ? behind : behind.subarray(bodyEnd));
    this.#owner.handle(exchange);
  }

  #awaitHead(bytes: Buffer, scanned: number): void {
    if (bytes.length > headLimit) {
      this.#refuse(new ProxyError('COFFERDAM_HEAD_TOO_LARGE', 'the request head is too large'));
      return;
    }
    if (hasBareLineFeed(bytes, scanned)) {
      this.#refuse(new ProxyError('COFFERDAM_BAD_HEAD', 'bad request: line feed without carriage return'));
      return;
    }
    this.#ahead = bytes;
    this.#headTimer ??= setTimeout(() => {
      this.#refuse(new ProxyError('COFFERDAM_HEAD_TIMEOUT', 'the request head takes too long'));
    }, headMilliseconds);
  }

  /** Answers something that isn't a request, and closes: where the next request would begin is unknown. */
  #refuse(error: unknown): void {
    this.#ahead = undefined;
    const problem =
      error instanceof ProxyError
        ? error
        : new ProxyError('COFFERDAM_INTERNAL', 'the request could not be read', { cause: error });
    const exchange = new Exchange(this, undefined);
    this.#exchange = exchange;
    this.#owner.malformed(exchange, problem);
  }

  #hold(bytes: Buffer): void {
    this.#ahead = this.#ahead === undefined ? bytes : Buffer.concat([this.#ahead, bytes]);
    if (this.#ahead.length > aheadLimit) this.socket.pause();
  }

  #onEnd = (): void => {
    this.#ended = true;
    const exchange = this.#exchange;
    if (exchange === undefined) {
      this.#close();
      return;
    }
    exchange.body.truncated();
    exchange.clientEnded();
    destroyOnHangUp(this.socket);
  };

  #onDrain = (): void => {
    if (this.#exchange !== undefined) this.#exchange.clientDrained();
    else if (!this.#closing) this.#next();
  };

  #onError = (): void => {
    this.socket.destroy();
  };

  #onClose = (): void => {
    this.#stopHeadTimer();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.clientGone();
    this.#owner.closed(this);
  };

  /** Ends our side, and reads what the client still sends for a moment so that it gets to read our last bytes. */
  #close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#stopHeadTimer();
    this.#ahead = undefined;
    if (this.#ended) return void this.socket.end(() => this.socket.destroy());
    this.socket.end();
    this.socket.resume();
    this.socket.once('end', () => this.socket.destroy());
    setTimeout(() => this.socket.destroy(), lingerMilliseconds).unref();
  }

  #stopHeadTimer(): void {
    clearTimeout(this.#headTimer);
    this.#headTimer = undefined;
  }
}
