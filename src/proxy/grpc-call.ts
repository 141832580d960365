/**
 * One gRPC call on its way from the client's HTTP/2 session to the engine's, and its answer on the way back.
 * Header fields go on as a raw list: Node joins repeated metadata with commas, which breaks BuildKit's file sync.
 *
 *     judged ──pass──▶ piped: bytes go on as they come
 *       ├──inspect──▶ each message is judged; the engine hears of the call with the first one that is allowed
 *       └──deny──▶ answered with a gRPC status
 */
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { type GrpcJudge, type GrpcRefusal, grpcStatus } from '../registry/buildkit/grpc-judge.js';
import type { IncomingCall } from './client-http2.js';
import type { CallReceiver, EngineCall } from './engine-call.js';
import type { EngineHttp2 } from './engine-http2.js';
import type { GrpcWatcher } from './grpc.js';
import { framed, MalformedMessage, MessageReader } from './grpc-messages.js';
import { type Fields, valuesOf } from './hpack.js';

/** Names the build within which a call is made (buildkit `client/buildid`). */
const buildIdField = 'buildkit-controlapi-buildid';

/** Carries a call over, or answers it with a refusal. */
export function carryCall(
  incoming: IncomingCall,
  upstream: EngineHttp2,
  judge: GrpcJudge,
  watcher: GrpcWatcher,
): void {
  const call = new Call(incoming, upstream, watcher);
  const path = call.path;
  const verdict = judge.method(path);
  if (verdict === 'pass') call.pass();
  else if (verdict === 'inspect') call.inspect(judge);
  else call.refuse(verdict);
}

class Call implements CallReceiver {
  readonly path: string;
  readonly #stream: ServerHttp2Stream;
  readonly #fields: Fields;
  readonly #ended: boolean;
  readonly #upstream: EngineHttp2;
  readonly #watcher: GrpcWatcher;
  /** What is said of the answer's status; unchanged for calls that pass. */
  #status: (fields: Fields) => Fields = (fields) => fields;
  #request: EngineCall | undefined;
  #trailers: OutgoingHttpHeaders | undefined;
  #answered = false;
  #clientEnded: boolean;
  /** Whoever waits for the engine to take more. */
  #goOn: () => void = () => undefined;

  constructor({ stream, rawHeaders, ended }: IncomingCall, upstream: EngineHttp2, watcher: GrpcWatcher) {
    this.#stream = stream;
    this.#fields = rawHeaders;
    this.#ended = ended;
    this.#clientEnded = ended;
    stream.on('end', () => {
      this.#clientEnded = true;
    });
    this.#upstream = upstream;
    this.#watcher = watcher;
    this.path = this.#field(constants.HTTP2_HEADER_PATH);
    stream.on('wantTrailers', () => {
      stream.sendTrailers(this.#trailers ?? {});
      this.#answered = true;
      this.#endBehindAnswer();
    });
    stream.on('drain', () => this.#request?.resume());
    stream.on('close', () => this.#request?.close(stream.rstCode));
  }

  /** What the client's fields say of a name, as Node would put it. */
  #field(name: string): string {
    return valuesOf(this.#fields, name).join(',');
  }

  /** Bytes go on as they come. */
  pass(): void {
    const request = this.#open(this.#ended);
    if (request === undefined || this.#ended) return;
    this.#stream.on('data', (bytes: Buffer) => {
      if (!request.write(bytes)) this.#stream.pause();
    });
    this.#goOn = () => this.#stream.resume();
    this.#stream.on('end', () => request.end());
  }

  /** Each message is judged before the engine gets it, in its turn. */
  inspect(judge: GrpcJudge): void {
    const stream = this.#stream;
    this.#status = (rawHeaders) => {
      const answer = judge.status?.(rawHeaders) ?? { rawHeaders };
      if (answer.refusal !== undefined) this.#watcher.refused(this.path, answer.refusal);
      return answer.rawHeaders;
    };
    const reader = new MessageReader();
    const build = this.#field(buildIdField);
    const judgeBytes = async (bytes: Buffer): Promise<void> => {
      for (const message of reader.push(bytes)) {
        const verdict = await judge.message(this.path, message, build);
        if (stream.destroyed) return;
        if (verdict.kind === 'deny') {
          this.refuse(verdict);
          return;
        }
        await this.#send(framed(verdict.kind === 'replace' ? verdict.message : message));
      }
      if (!stream.destroyed) stream.resume();
    };
    let turn = Promise.resolve();
    stream.on('data', (bytes: Buffer) => {
      stream.pause();
      turn = turn.then(() => judgeBytes(bytes)).catch((error: unknown) => this.#fail(error));
    });
    stream.on('end', () => {
      turn = turn.then(() => this.#endMessages(reader)).catch((error: unknown) => this.#fail(error));
    });
  }

  /** Answers the call with a gRPC status; the engine learns nothing more of it. */
  refuse(refusal: GrpcRefusal): void {
    this.#watcher.refused(this.path, refusal);
    this.#answerStatus(refusal.status, refusal.message);
  }

  #send(bytes: Buffer): Promise<void> {
    const request = this.#request ?? this.#open(false);
    if (request === undefined || request.write(bytes) || request.closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#goOn = resolve;
    });
  }

  #endMessages(reader: MessageReader): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    if (!reader.empty) throw new MalformedMessage('the gRPC message is incomplete');
    if (this.#request === undefined) this.#open(true);
    else this.#request.end();
  }

  #fail(error: unknown): void {
    if (error instanceof MalformedMessage) {
      this.refuse({
        kind: 'deny',
        status: grpcStatus.unimplemented,
        message: error.message,
        setting: 'none',
      });
      return;
    }
    this.#watcher.failed(error);
    this.#answerStatus(grpcStatus.invalidArgument, 'cofferdam: the call could not be judged');
  }

  #answerStatus(status: number, message: string): void {
    const stream = this.#stream;
    const request = this.#request;
    this.#request = undefined;
    request?.close(constants.NGHTTP2_CANCEL);
    if (stream.destroyed || stream.writableEnded) return;
    const trailers = { 'grpc-status': String(status), 'grpc-message': encodeURIComponent(message) };
    if (stream.headersSent) {
      this.#trailers = trailers;
      stream.end();
    } else {
      const headers = { ':status': 200, 'content-type': 'application/grpc', ...trailers };
      stream.respond(headers, { endStream: true });
      this.#answered = true;
    }
    this.#endBehindAnswer();
  }

  /** A call that is answered before the client has sent everything ends all the same (RFC 9113, section 8.1). */
  #endBehindAnswer(): void {
    const stream = this.#stream;
    const over = this.#request === undefined || this.#request.closed;
    if (!this.#answered || !over || this.#clientEnded) return;
    // Not in the same turn: the reset must come behind the trailers.
    setImmediate(() => {
      if (!stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  /** Opens the call towards the engine. When its session is closing, the client is told to try again elsewhere. */
  #open(endStream: boolean): EngineCall | undefined {
    this.#request = this.#upstream.open(this.#fields, endStream, this);
    if (this.#request === undefined) this.#stream.close(constants.NGHTTP2_REFUSED_STREAM);
    return this.#request;
  }

  response(fields: Fields, endStream: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    stream.respond(
      rebuildHeaders(this.#status(fields)),
      endStream ? { endStream } : { waitForTrailers: true },
    );
    this.#answered = endStream;
  }

  trailers(fields: Fields): void {
    this.#trailers = rebuildHeaders(this.#status(fields));
  }

  data(bytes: Buffer): void {
    if (!this.#stream.destroyed && !this.#stream.write(bytes)) this.#request?.pause();
  }

  ended(): void {
    if (!this.#stream.writableEnded) this.#stream.end();
  }

  drained(): void {
    this.#goOn();
  }

  closed(code: number): void {
    this.#goOn();
    // Given up by ourselves, with an answer of our own.
    if (this.#request === undefined) return;
    if (code !== constants.NGHTTP2_NO_ERROR) this.#stream.close(code);
    else this.#endBehindAnswer();
  }
}

/** Header fields from their raw list, repeated ones as repeated fields. */
function rebuildHeaders(rawHeaders: Fields): OutgoingHttpHeaders {
  // Without a prototype: `constructor` and `__proto__` are names like any other.
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const value = rawHeaders[index + 1] ?? '';
    const earlier = headers[name];
    if (earlier === undefined) headers[name] = value;
    else if (Array.isArray(earlier)) earlier.push(value);
    else headers[name] = [earlier, value];
  }
  return headers;
}
