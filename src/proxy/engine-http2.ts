/**
 * The client's side of HTTP/2 towards the engine, for calls of BuildKit. Node's own gives a connection up over a header
 * field of more than 64 KiB, and BuildKit tells of a failed step with the whole Dockerfile in one (decision 0023).
 * It must never take what is malformed for an answer: the connection ends then, and every call with it.
 */
import { type CallOwner, type CallReceiver, EngineCall } from './engine-call.js';
import { writeBufferBytes } from './engine-connection.js';
import { FieldReader, type Fields } from './hpack.js';
import { MalformedBlock } from './hpack-text.js';
import {
  type Frame,
  FrameReader,
  frameFlag,
  frameType,
  Http2Broken,
  http2Error,
  readSettings,
  unpadded,
  writeFrame,
  writeNumber,
  writeSettings,
} from './http2-frames.js';
import { firstWindow, grownWindow, ReceiveWindow, windowBytes } from './http2-windows.js';
import { readEnd, type TunnelEnd } from './tunnel-end.js';

/** Who is told what becomes of a connection. */
export interface EngineHttp2Watcher {
  /** The engine has shown that it speaks HTTP/2: every such connection begins with its settings. */
  ready?(): void;
  /** The engine takes no new calls. */
  goAway?(code: number, debugData: Buffer): void;
  /** Taking the engine's bytes failed by a fault of ours. */
  failed?(error: unknown): void;
  closed(): void;
}

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** Identifiers of settings (RFC 9113, section 6.5.2). */
const setting = {
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxHeaderListSize: 6,
} as const;
/** Longest header block that is read, in bytes. */
export const blockLimit = 1 << 24;
const greeting = Buffer.concat([
  preface,
  writeSettings(
    new Map([
      [setting.enablePush, 0],
      [setting.initialWindowSize, windowBytes],
      [setting.maxHeaderListSize, blockLimit],
    ]),
  ),
  writeNumber(frameType.windowUpdate, 0, windowBytes - firstWindow),
]);
const settingsAcknowledged = writeFrame(frameType.settings, frameFlag.ack, 0, Buffer.alloc(0));

/** A header block whose end hasn't come. */
interface OpenBlock {
  readonly stream: number;
  readonly endStream: boolean;
  readonly parts: Buffer[];
  size: number;
}

export class EngineHttp2 implements CallOwner {
  readonly #end: TunnelEnd;
  readonly #frames = new FrameReader();
  readonly #fields = new FieldReader();
  readonly #calls = new Map<number, EngineCall>();
  readonly #queued = new Set<EngineCall>();
  readonly #waiting = new Set<EngineCall>();
  #out: Buffer[] = [];
  #watcher: EngineHttp2Watcher | undefined;
  #block: OpenBlock | undefined;
  #nextId = 1;
  #mostCalls = Number.POSITIVE_INFINITY;
  #callWindow = firstWindow;
  #sendWindow = firstWindow;
  readonly #receiveWindow = new ReceiveWindow();
  #started = false;
  #ready = false;
  #scheduled = false;
  #leaving = false;
  #closed = false;

  /** @param end a connection that speaks HTTP/2, or is yet to show it; nothing was sent on it in HTTP/2 */
  constructor(end: TunnelEnd) {
    this.#end = end;
    const { socket } = end;
    socket.on('drain', () => this.#schedule());
    // Our sockets may stay half open; an HTTP/2 connection never does.
    socket.on('end', () => this.destroy());
    socket.on('error', () => this.destroy());
    socket.on('close', () => this.destroy());
    // Frames that came in part are kept, and so are their contents.
    readEnd(end, { take: (bytes) => this.#take(bytes), holdsNothing: false });
  }

  /** Sets who is told from now on; tells at once what has happened already. */
  watch(watcher: EngineHttp2Watcher): void {
    this.#watcher = watcher;
    if (this.#closed) watcher.closed();
  }

  /** Greets the engine. Not before the client shows that it wants anything: many connections only ask for the upgrade. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#out.unshift(greeting);
    this.#schedule();
  }

  /** Opens a call. @returns undefined when the connection takes no new ones */
  open(fields: Fields, endStream: boolean, receiver: CallReceiver): EngineCall | undefined {
    if (this.#leaving || this.#closed) return undefined;
    const call = new EngineCall(fields, endStream, receiver, this);
    this.#queued.add(call);
    this.#beginQueued();
    return call;
  }

  /** Begins the calls that the engine takes now. */
  #beginQueued(): void {
    if (this.#leaving || this.#closed) return;
    for (const call of this.#queued) {
      if (this.#calls.size >= this.#mostCalls) return;
      this.#queued.delete(call);
      const id = this.#nextId;
      this.#nextId += 2;
      this.#calls.set(id, call);
      call.begin(id, this.#callWindow);
    }
  }

  send(frame: Buffer): void {
    this.#out.push(frame);
    this.#schedule();
  }

  waits(call: EngineCall): void {
    this.#waiting.add(call);
    this.#schedule();
  }

  over(call: EngineCall): void {
    this.#waiting.delete(call);
    this.#queued.delete(call);
    if (call.id !== 0) this.#calls.delete(call.id);
    this.#beginQueued();
    if (this.#leaving && this.#calls.size === 0) this.destroy();
  }

  /** What is sent within one turn goes in one write. */
  #schedule(): void {
    if (this.#scheduled || !this.#started || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#closed) return;
    const { socket } = this.#end;
    const sent = socket.writableNeedDrain ? [] : this.#collect();
    if (this.#out.length > 0) {
      const bytes = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out);
      this.#out = [];
      if (bytes !== undefined) socket.write(bytes);
    }
    for (const call of sent) call.sent();
    if (!socket.writableNeedDrain && this.#waiting.size > 0) this.#schedule();
  }

  /** Frames of the calls that have something to send and may, in turns. @returns the calls */
  #collect(): ReadonlySet<EngineCall> {
    const sent = new Set<EngineCall>();
    for (let size = 0; size < writeBufferBytes && this.#waiting.size > 0; ) {
      for (const call of this.#waiting) {
        const next = call.nextFrame(this.#sendWindow);
        if (next === undefined) this.#waiting.delete(call);
        else {
          this.#sendWindow -= next.size;
          size += next.frame.length;
          this.#out.push(next.frame);
          sent.add(call);
        }
      }
    }
    return sent;
  }

  #take(bytes: Buffer): void {
    if (this.#closed) return;
    try {
      for (const frame of this.#frames.push(bytes)) this.#frame(frame);
    } catch (error) {
      if (error instanceof Http2Broken) this.destroy(error.code);
      else if (error instanceof MalformedBlock) this.destroy(http2Error.compression);
      else {
        this.#watcher?.failed?.(error);
        this.destroy(http2Error.internal);
      }
    }
  }

  #frame(frame: Frame): void {
    const acknowledges = (frame.flags & frameFlag.ack) !== 0;
    if (!this.#ready && (frame.type !== frameType.settings || acknowledges))
      throw broken('it does not begin with settings');
    if (this.#block !== undefined && frame.type !== frameType.continuation)
      throw broken('a header block is broken');
    switch (frame.type) {
      case frameType.data:
        this.#data(frame);
        break;
      case frameType.headers:
        this.#headers(frame);
        break;
      case frameType.continuation:
        this.#continuation(frame);
        break;
      case frameType.resetStream:
        this.#calls.get(frame.stream)?.finish(numberAt(frame, 0));
        break;
      case frameType.settings:
        this.#settings(frame);
        break;
      case frameType.ping:
        this.#ping(frame);
        break;
      case frameType.goAway:
        this.#goAway(frame);
        break;
      case frameType.windowUpdate:
        this.#windowUpdate(frame);
        break;
      case frameType.pushPromise:
        throw broken('something was pushed');
      default:
      // Frames that aren't known are passed over (RFC 9113, section 4.1).
    }
  }

  #data(frame: Frame): void {
    const size = frame.content.length;
    this.#receiveWindow.take(size);
    const read = this.#receiveWindow.report();
    if (read > 0) this.send(writeNumber(frameType.windowUpdate, 0, read));
    if (!this.#wasBegun(frame.stream)) throw broken('data of no call');
    // A call that we gave up may go on for a moment.
    const call = this.#calls.get(frame.stream);
    call?.takeData(unpadded(frame), size, (frame.flags & frameFlag.endStream) !== 0);
  }

  #wasBegun(stream: number): boolean {
    return stream !== 0 && stream < this.#nextId;
  }

  #headers(frame: Frame): void {
    if (!this.#wasBegun(frame.stream)) throw broken('an answer to no call');
    const part = unpadded(frame);
    const block = {
      stream: frame.stream,
      endStream: (frame.flags & frameFlag.endStream) !== 0,
      parts: [part],
      size: part.length,
    };
    this.#part(block, frame.flags);
  }

  #continuation({ stream, flags, content }: Frame): void {
    const block = this.#block;
    if (block === undefined || block.stream !== stream) throw broken('a header block is broken');
    block.parts.push(content);
    block.size += content.length;
    if (block.size > blockLimit)
      throw new Http2Broken(http2Error.enhanceYourCalm, 'a header block is too long');
    this.#part(block, flags);
  }

  #part(block: OpenBlock, flags: number): void {
    this.#block = (flags & frameFlag.endHeaders) === 0 ? block : undefined;
    if (this.#block !== undefined) return;
    // Also of a call that is over: the table is the connection's.
    const fields = this.#fields.read(Buffer.concat(block.parts));
    this.#calls.get(block.stream)?.takeFields(fields, block.endStream);
  }

  #settings(frame: Frame): void {
    if ((frame.flags & frameFlag.ack) !== 0) return;
    const settings = readSettings(frame.content);
    const window = grownWindow(0, settings.get(setting.initialWindowSize) ?? this.#callWindow);
    for (const call of this.#calls.values()) call.growWindow(window - this.#callWindow);
    this.#callWindow = window;
    this.#mostCalls = settings.get(setting.maxConcurrentStreams) ?? this.#mostCalls;
    this.#beginQueued();
    this.send(settingsAcknowledged);
    if (this.#ready) return;
    this.#ready = true;
    this.#watcher?.ready?.();
  }

  #ping({ flags, content }: Frame): void {
    if (content.length !== 8) throw new Http2Broken(http2Error.frameSize, 'a ping has 8 bytes');
    if ((flags & frameFlag.ack) === 0) this.send(writeFrame(frameType.ping, frameFlag.ack, 0, content));
  }

  #goAway(frame: Frame): void {
    const last = numberAt(frame, 0) & 0x7fff_ffff;
    const code = numberAt(frame, 4);
    this.#leaving = true;
    this.#watcher?.goAway?.(code, frame.content.subarray(8));
    for (const call of this.#queued) call.finish(http2Error.refusedStream);
    for (const call of this.#calls.values()) if (call.id > last) call.finish(http2Error.refusedStream);
    if (code !== http2Error.none || this.#calls.size === 0) this.destroy();
  }

  #windowUpdate(frame: Frame): void {
    const bytes = numberAt(frame, 0) & 0x7fff_ffff;
    if (bytes === 0) throw broken('a window does not grow');
    if (frame.stream !== 0) {
      this.#calls.get(frame.stream)?.growWindow(bytes);
      return;
    }
    this.#sendWindow = grownWindow(this.#sendWindow, bytes);
    for (const call of this.#calls.values()) this.waits(call);
  }

  /** Tells the engine that no new calls come. */
  goAway(code: number, debugData?: Uint8Array): void {
    if (this.#closed) return;
    const content = Buffer.alloc(8 + (debugData?.length ?? 0));
    content.writeUInt32BE(code, 4);
    content.set(debugData ?? [], 8);
    this.send(writeFrame(frameType.goAway, 0, 0, content));
  }

  /** Ends the connection, and every call on it. @param code why, of RFC 9113, section 7 */
  destroy(code: number = http2Error.none): void {
    if (this.#closed) return;
    if (this.#started) this.goAway(code);
    const last = this.#started ? Buffer.concat(this.#out) : undefined;
    this.#closed = true;
    this.#out = [];
    const { socket } = this.#end;
    if (last !== undefined && socket.writable) socket.write(last);
    socket.destroySoon();
    for (const call of [...this.#queued, ...this.#calls.values()]) call.finish(http2Error.cancel);
    this.#watcher?.closed();
  }
}

function broken(message: string): Http2Broken {
  return new Http2Broken(http2Error.protocol, message);
}

/** @throws Http2Broken when the frame has no number there */
function numberAt({ content }: Frame, at: number): number {
  if (content.length < at + 4) throw new Http2Broken(http2Error.frameSize, 'a frame is too short');
  return content.readUInt32BE(at);
}
