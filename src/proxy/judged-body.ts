/**
 * A request body that is judged while it streams to the engine: each piece is shown to the judge before it goes on, and
 * the client waits meanwhile. It goes on in chunks of our own where the judge may send other content than the client's.
 * What no judge looks at any more goes on at once.
 * It must never let a piece overtake its judgement, nor end a body that was refused.
 */
import type { StreamJudge, StreamRefusal } from '../registry/stream-judge.js';
import type { BodyFraming } from './framing.js';
import { RequestRefused } from './judge.js';
import type { BodySink } from './request-body.js';

/** The engine's side of a judged body. */
export interface JudgedBodySink extends BodySink {
  /** Writes content as a chunk of our own. @returns false until `JudgedBody.drained` is to be called */
  writeChunk(piece: Uint8Array): boolean;
  /** Ends a body of such chunks. */
  writeLastChunk(): void;
}

/** What a judged body does with its surroundings. */
export interface JudgedBodyEvents {
  /** Whether the engine was told of a chunked body: then the judge may send what it likes. */
  readonly ownFraming: boolean;
  /** The client may send more. */
  resume(): void;
  /** The body was refused, or judging it failed: the engine must be left without its end. */
  stopped(error: Error): void;
}

/** Bytes as they came, and the content in them. */
interface Piece {
  readonly bytes: Buffer;
  readonly content: readonly Buffer[];
  /** It ends the body. */
  readonly last: boolean;
}

export class JudgedBody implements BodySink {
  readonly #judge: StreamJudge;
  readonly #framing: BodyFraming;
  readonly #engine: JudgedBodySink;
  readonly #events: JudgedBodyEvents;
  readonly #ownFraming: boolean;
  readonly #queue: Piece[] = [];
  #busy = false;
  #ended = false;
  #stopped = false;
  #whenDrained: (() => void) | undefined;

  /** @param framing a fresh one of the body's kind: pieces come with their chunk framing, the judge sees the content */
  constructor(judge: StreamJudge, framing: BodyFraming, engine: JudgedBodySink, events: JudgedBodyEvents) {
    this.#judge = judge;
    this.#framing = framing;
    this.#engine = engine;
    this.#events = events;
    this.#ownFraming = events.ownFraming && judge.replaceWith !== undefined;
    if (this.#ownFraming) judge.replaceWith?.((piece) => this.#sendChunk(piece));
  }

  /** The engine takes bytes again. */
  drained(): void {
    const waiting = this.#whenDrained;
    this.#whenDrained = undefined;
    if (waiting === undefined) this.#events.resume();
    else waiting();
  }

  get holdsNothing(): boolean {
    return this.#passesOn && this.#engine.holdsNothing === true;
  }

  write(bytes: Buffer): boolean {
    const content: Buffer[] = [];
    this.#framing.advance(bytes, 0, content);
    const piece = { bytes, content, last: this.#framing.finished };
    if (this.#passesOn && !piece.last) return this.#pass(piece);
    this.#queue.push(piece);
    void this.#work();
    return false;
  }

  /** Nothing waits to be judged, and nothing will be. */
  get #passesOn(): boolean {
    return this.#judge.passesOn === true && !this.#busy && !this.#stopped && this.#queue.length === 0;
  }

  #pass({ bytes, content }: Piece): boolean {
    if (!this.#ownFraming) return this.#engine.write(bytes);
    let more = true;
    // An empty chunk would end the body.
    for (const part of content) if (part.length > 0) more = this.#engine.writeChunk(part);
    return more;
  }

  end(): void {
    this.#ended = true;
    void this.#work();
  }

  failed(error: Parameters<BodySink['failed']>[0]): void {
    this.#stopped = true;
    this.#engine.failed(error);
  }

  async #work(): Promise<void> {
    if (this.#busy || this.#stopped) return;
    this.#busy = true;
    try {
      await this.#judgeQueue();
    } catch (error) {
      this.#stop(error instanceof Error ? error : new Error(String(error)));
    }
    this.#busy = false;
    if (this.#ended && this.#queue.length === 0 && !this.#stopped) {
      this.#stopped = true;
      if (this.#ownFraming) this.#engine.writeLastChunk();
      this.#engine.end();
    }
  }

  async #judgeQueue(): Promise<void> {
    for (
      let piece = this.#queue.shift();
      piece !== undefined && !this.#stopped;
      piece = this.#queue.shift()
    ) {
      const refusal = await this.#judgePiece(piece);
      // The client may have gone while the judge was thinking.
      if (this.#stopped) return;
      if (refusal !== undefined) {
        this.#stop(new RequestRefused([denial(refusal)]));
        return;
      }
      if (this.#ownFraming || this.#engine.write(piece.bytes)) this.#events.resume();
    }
  }

  /** Sends content as a chunk (RFC 9112, 7.1). An empty one would end the body. */
  async #sendChunk(piece: Uint8Array): Promise<void> {
    if (piece.length === 0 || this.#stopped || this.#engine.writeChunk(piece)) return;
    await new Promise<void>((resolve) => {
      this.#whenDrained = resolve;
    });
  }

  /** The piece that ends the body is let through only when the whole was judged. */
  async #judgePiece({ content, last }: Piece): Promise<StreamRefusal | undefined> {
    for (const part of content) {
      const refusal = await this.#judge.chunk(part);
      if (refusal !== undefined) return refusal;
      if (this.#ownFraming && this.#judge.replaces !== true) await this.#sendChunk(part);
    }
    return last ? await this.#judge.end() : undefined;
  }

  #stop(error: Error): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#queue.length = 0;
    this.#events.stopped(error);
  }
}

function denial({ text, setting }: StreamRefusal) {
  const rule = 'registry-build';
  return { kind: 'deny', rule, field: 'body', reason: text, setting, remedy: '', text } as const;
}
