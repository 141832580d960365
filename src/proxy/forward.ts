/**
 * Sends one request to the engine and streams its answer back, or finds that the engine turned the connection into
 * raw bytes. Backpressure goes both ways: whoever doesn't read stops the other. It must never keep a body in memory
 * (but the small answer that bookkeeping needs to read first), and never end a stream by a clock of ours.
 */
import type { Socket } from 'node:net';
import type { StreamJudge } from '../registry/stream-judge.js';
import { type AnswerHead, writeAnswerHead } from './answer-head.js';
import type { AnswerReader, WholeAnswer } from './answer-reader.js';
import type { AnswerReceiver, EngineConnection } from './engine-connection.js';
import type { EnginePool } from './engine-pool.js';
import { type EngineRequest, writeEngineHead } from './engine-request.js';
import { ProxyError } from './errors.js';
import type { ClientWatcher, Exchange } from './exchange.js';
import { ChunkedFraming } from './framing.js';
import { JudgedBody, type JudgedBodySink } from './judged-body.js';
import { type BodySink, bodyFraming } from './request-body.js';
import type { TunnelEnd } from './tunnel-end.js';
import { lastChunk, writeChunk } from './write-chunk.js';

/** An answer that was held back: for bookkeeping that must be done before the client sees it. */
export interface HeldAnswer extends WholeAnswer {
  /** Writes the answer to the client, as the engine sent it or as a reader has it, and ends the exchange. */
  release(): void;
}

export type ForwardOutcome =
  | { readonly kind: 'answered' }
  | { readonly kind: 'held'; readonly answer: HeldAnswer }
  | { readonly kind: 'tunnel'; readonly engine: TunnelEnd }
  /** The answer had begun when the engine or the client failed: the connection is broken off. */
  | { readonly kind: 'broken'; readonly error: Error };

export interface ForwardOptions {
  /** Decides whether an answer turns the connection into a tunnel; absent where no answer may. */
  readonly tunnels?: (head: AnswerHead) => boolean;
  /** Hold the answer back instead of passing it on. */
  readonly hold?: boolean;
  /** At most one of them reads an answer: the first whose it is. */
  readonly readers?: readonly AnswerReader[];
  /** Judges the body while it streams. The caller closes it. */
  readonly bodyJudge?: StreamJudge;
}

/** Most bytes of an answer that is held back. */
const heldLimit = 1 << 20;

/** Notes in an exchange, for its record, that its answer was broken off. */
export function noteFailure(exchange: Exchange, outcome: ForwardOutcome): void {
  if (outcome.kind === 'broken') exchange.findings.error = outcome.error;
}

/** Who is told how a request ended: by one of the two, once. */
export interface ForwardEnd {
  ended(outcome: ForwardOutcome): void;
  /** There is no answer to pass on, and the client has got nothing yet: a ProxyError, unless something is broken. */
  failed(error: Error): void;
}

/** A request on its way. */
interface Sending {
  readonly exchange: Exchange;
  readonly request: EngineRequest;
  readonly pool: EnginePool;
  readonly options: ForwardOptions;
  readonly end: ForwardEnd;
}

/**
 * Sends the request and deals with the answer.
 * @throws ProxyError (rejects) when there is no answer to pass on and the client has got nothing yet
 */
export function forward(
  exchange: Exchange,
  request: EngineRequest,
  pool: EnginePool,
  options: ForwardOptions = {},
): Promise<ForwardOutcome> {
  return new Promise((ended, failed) => {
    startForwarding({ exchange, request, pool, options, end: { ended, failed } });
  });
}

/** As `forward`, for who needs no promise: what is asked most often costs none. */
export function startForwarding(sending: Sending): void {
  const { options, pool } = sending;
  new Forwarding(sending, options.tunnels === undefined ? pool.acquire() : pool.fresh()).start();
}

class Forwarding implements AnswerReceiver, ClientWatcher {
  readonly #sending: Sending;
  readonly #exchange: Exchange;
  readonly #client: Socket;
  readonly #engine: EngineConnection;
  readonly #options: ForwardOptions;
  #held:
    | { readonly head: AnswerHead; readonly parts: Buffer[]; readonly limit: number; size: number }
    | undefined;
  #keepAlive: boolean;
  #judged: JudgedBody | undefined;

  constructor(sending: Sending, engine: EngineConnection) {
    this.#sending = sending;
    this.#exchange = sending.exchange;
    this.#client = sending.exchange.connection.socket;
    this.#engine = engine;
    this.#options = sending.options;
    this.#keepAlive = sending.exchange.head?.keepAlive === true;
  }

  start(): void {
    const { request } = this.#sending;
    this.#engine.begin(request.method, this);
    this.#send(request);
    this.#exchange.watch(this);
  }

  #send(request: EngineRequest): void {
    const { socket } = this.#engine;
    const { body } = request;
    if (body.kind === 'none') {
      socket.write(request.written ?? writeEngineHead(request), 'latin1');
      this.#engine.requestSent();
      return;
    }
    socket.cork();
    socket.write(writeEngineHead(request), 'latin1');
    if (body.kind === 'bytes') {
      socket.write(body.bytes);
      this.#engine.requestSent();
    } else {
      this.#exchange.body.streamTo(this.#bodySink(socket, body.length === undefined));
    }
    socket.uncork();
  }

  #bodySink(socket: Socket, ownFraming: boolean): BodySink {
    const { body } = this.#exchange;
    const sink: JudgedBodySink = {
      write: (bytes) => socket.write(bytes),
      writeChunk: (piece) => writeChunk(socket, piece),
      writeLastChunk: () => void socket.write(lastChunk),
      end: () => this.#engine.requestSent(),
      failed: (error) => this.#bodyFailed(error),
      // A write that the kernel took at once is done when it returns.
      get holdsNothing() {
        return socket.writableLength === 0;
      },
    };
    const judge = this.#options.bodyJudge;
    if (judge === undefined) return sink;
    this.#judged = new JudgedBody(judge, bodyFraming(body.kind, body.announced), sink, {
      ownFraming,
      resume: () => body.resume(),
      stopped: (error) => this.#bodyFailed(error),
    });
    return this.#judged;
  }

  /** The client's body broke off or was refused: the engine must not take what it has for the whole. */
  #bodyFailed(error: Error): void {
    this.#engine.abandon();
    this.failed(error);
  }

  interim(head: AnswerHead, bytes: Buffer): void {
    const awaited = head.status === 100 && this.#exchange.head?.expectsContinue === true;
    if (awaited && !head.hasHopByHop) this.#client.write(bytes);
  }

  head(head: AnswerHead, bytes: Buffer, bodyStart: number): 'http' | 'tunnel' {
    if (this.#options.tunnels?.(head) === true) {
      this.#exchange.status = head.status;
      this.#client.write(bytes.subarray(0, bodyStart));
      return 'tunnel';
    }
    if (head.status === 101) {
      throw new ProxyError('COFFERDAM_ENGINE_ANSWER', 'the engine switched protocols without being asked');
    }
    const limit = this.#options.hold === true ? heldLimit : this.#readLimit(head);
    if (limit > 0) {
      if (head.framing.kind === 'until-close') this.#keepAlive = false;
      this.#held = { head, parts: [], size: 0, limit };
      if (bytes.length > bodyStart) this.body(bytes.subarray(bodyStart));
    } else this.#passHead(head, bytes, bodyStart);
    return 'http';
  }

  #reader(status: number): AnswerReader | undefined {
    return this.#options.readers?.find((reader) => reader.limit(status) > 0);
  }

  /** Most bytes of this answer that are read first; 0 where nobody reads it, or where it is said to be longer. */
  #readLimit({ status, framing }: AnswerHead): number {
    const limit = this.#reader(status)?.limit(status) ?? 0;
    return framing.kind === 'length' && framing.length > limit ? 0 : limit;
  }

  #passHead(head: AnswerHead, bytes: Buffer, bodyStart: number): void {
    const client = this.#client;
    this.#exchange.status = head.status;
    if (head.framing.kind === 'until-close') this.#keepAlive = false;
    if (this.#keepAlive && !head.hasHopByHop) {
      this.#throttle(client.write(bytes));
      return;
    }
    client.cork();
    client.write(writeAnswerHead(head, this.#keepAlive ? undefined : 'close'), 'latin1');
    const passed = bytes.length === bodyStart || client.write(bytes.subarray(bodyStart));
    client.uncork();
    this.#throttle(passed);
  }

  body(bytes: Buffer): void {
    const held = this.#held;
    if (held === undefined) {
      this.#throttle(this.#client.write(bytes));
      return;
    }
    held.size += bytes.length;
    held.parts.push(bytes);
    if (held.size <= held.limit) return;
    if (this.#options.hold === true) {
      throw new ProxyError('COFFERDAM_ENGINE_ANSWER', "the engine's answer is larger than it can be");
    }
    this.#held = undefined;
    this.#throttle(this.#write(held.head, Buffer.concat(held.parts)));
  }

  #throttle(clientTakesMore: boolean): void {
    if (!clientTakesMore) this.#engine.socket.pause();
  }

  drained(): void {
    if (this.#judged === undefined) this.#exchange.body.resume();
    else this.#judged.drained();
  }

  get holdsNothing(): boolean {
    return this.#held === undefined && this.#client.writableLength === 0;
  }

  tunnel(engine: TunnelEnd): void {
    this.#exchange.watch(undefined);
    this.#sending.end.ended({ kind: 'tunnel', engine });
  }

  complete(): void {
    // The connection may be another request's from now on, and must not stay paused for a client that reads slowly.
    this.#engine.socket.resume();
    this.#exchange.watch(undefined);
    if (this.#held !== undefined) {
      this.#resolveHeld(this.#heldAnswer(this.#held));
      return;
    }
    this.#exchange.connection.answered(this.#exchange, this.#keepAlive);
    this.#sending.end.ended({ kind: 'answered' });
  }

  #resolveHeld(answer: HeldAnswer): void {
    if (this.#options.hold === true) {
      this.#sending.end.ended({ kind: 'held', answer });
      return;
    }
    answer.release();
    this.#sending.end.ended({ kind: 'answered' });
  }

  #release(head: AnswerHead, body: Buffer): void {
    this.#write(head, body);
    this.#exchange.connection.answered(this.#exchange, this.#keepAlive);
  }

  /** @returns whether the client takes more */
  #write(head: AnswerHead, body: Buffer): boolean {
    const text = Buffer.from(writeAnswerHead(head, this.#keepAlive ? undefined : 'close'), 'latin1');
    this.#exchange.status = head.status;
    return this.#client.write(Buffer.concat([text, body]));
  }

  #heldAnswer({ head, parts }: { readonly head: AnswerHead; readonly parts: readonly Buffer[] }): HeldAnswer {
    const body = Buffer.concat(parts);
    const payload: Buffer[] = [];
    if (head.framing.kind === 'chunked')
      new ChunkedFraming({ allowTrailers: true }).advance(body, 0, payload);
    const content = head.framing.kind === 'chunked' ? Buffer.concat(payload) : body;
    const reader = this.#reader(head.status);
    return {
      head,
      content,
      release: () => this.#release(...(reader?.read({ head, content }) ?? ([head, body] as const))),
    };
  }

  failed(error: Error): void {
    this.#exchange.watch(undefined);
    if (!this.#exchange.answering) {
      if (this.#isStale(error)) new Forwarding(this.#sending, this.#sending.pool.fresh()).start();
      else this.#sending.end.failed(error);
      return;
    }
    // Half an answer must not look like a whole one.
    this.#client.destroy();
    this.#sending.end.ended({ kind: 'broken', error });
  }

  /**
   * A kept connection may have been closed by the engine at the very moment of sending. What only reads can be asked
   * again; anything else might be done twice.
   */
  #isStale(error: Error): boolean {
    const { method } = this.#sending.request;
    const away = error instanceof ProxyError && error.code === 'COFFERDAM_ENGINE_AWAY';
    return away && this.#engine.reused && (method === 'GET' || method === 'HEAD') && !this.#exchange.gone;
  }

  clientDrained(): void {
    this.#engine.socket.resume();
  }

  /** What the client did, the engine sees: it ends requests of its own accord when their client stops listening. */
  clientEnded(): void {
    if (this.#options.hold === true) return;
    if (this.#options.tunnels === undefined && this.#exchange.body.finished) this.#engine.socket.end();
  }

  clientGone(): void {
    // What bookkeeping waits for is seen through: a container without a note must not be left behind.
    if (this.#options.hold === true) return;
    this.#engine.abandon();
    this.failed(new ProxyError('COFFERDAM_CLIENT_GONE', 'the client went away'));
  }
}
