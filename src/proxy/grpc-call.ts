/**
 * One gRPC call on its way from the client's HTTP/2 session to the engine's, and its answer on the way back.
 * Header fields are rebuilt from the raw list: Node joins repeated metadata with commas, which breaks BuildKit's file
 * sync.
 *
 *     judged ──pass──▶ piped: bytes go on as they come
 *       ├──inspect──▶ each message is judged; the engine hears of the call with the first one that is allowed
 *       └──deny──▶ answered with a gRPC status
 */
import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { type GrpcJudge, type GrpcRefusal, grpcStatus } from '../registry/buildkit/grpc-judge.js';
import type { IncomingCall } from './client-http2.js';
import type { Upstream } from './engine-http2.js';
import type { GrpcWatcher } from './grpc.js';
import { framed, MalformedMessage, MessageReader } from './grpc-messages.js';

/** Names the build within which a call is made (buildkit `client/buildid`). */
const buildIdField = 'buildkit-controlapi-buildid';

/** Carries a call over, or answers it with a refusal. */
export function carryCall(
  incoming: IncomingCall,
  upstream: Upstream,
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

class Call {
  readonly path: string;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: OutgoingHttpHeaders;
  readonly #ended: boolean;
  readonly #upstream: Upstream;
  readonly #watcher: GrpcWatcher;
  /** What is said of the answer's status; unchanged for calls that pass. */
  #status: (rawHeaders: readonly string[]) => readonly string[] = (rawHeaders) => rawHeaders;
  #request: ClientHttp2Stream | undefined;
  #trailers: OutgoingHttpHeaders | undefined;
  #answered = false;
  #clientEnded: boolean;

  constructor({ stream, rawHeaders, ended }: IncomingCall, upstream: Upstream, watcher: GrpcWatcher) {
    this.#stream = stream;
    this.#headers = rebuildHeaders(rawHeaders);
    this.#ended = ended;
    this.#clientEnded = ended;
    stream.on('end', () => {
      this.#clientEnded = true;
    });
    this.#upstream = upstream;
    this.#watcher = watcher;
    this.path = String(this.#headers[constants.HTTP2_HEADER_PATH] ?? '');
    stream.on('wantTrailers', () => {
      stream.sendTrailers(this.#trailers ?? {});
      this.#answered = true;
      this.#endBehindAnswer();
    });
    stream.on('close', () => this.#request?.close(stream.rstCode));
  }

  /** Bytes go on as they come. */
  pass(): void {
    const request = this.#open(this.#ended);
    if (request === undefined || this.#ended) return;
    this.#stream.on('data', (bytes: Buffer) => {
      if (!request.write(bytes)) this.#stream.pause();
    });
    request.on('drain', () => this.#stream.resume());
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
    const build = String(this.#headers[buildIdField] ?? '');
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
      const goOn = () => {
        request.off('drain', goOn).off('close', goOn);
        resolve();
      };
      request.on('drain', goOn).on('close', goOn);
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
    this.#request?.close(constants.NGHTTP2_CANCEL);
    this.#request = undefined;
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
  #open(endStream: boolean): ClientHttp2Stream | undefined {
    let request: ClientHttp2Stream;
    try {
      request = this.#upstream.session.request(this.#headers, { endStream });
    } catch {
      this.#stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return undefined;
    }
    this.#request = request;
    this.#returnAnswer(request);
    return request;
  }

  /** The engine's fields with the values that they had. */
  #whole(rawHeaders: readonly string[]): OutgoingHttpHeaders {
    const { longFields } = this.#upstream;
    const whole = rawHeaders.map((text, at) => (at % 2 === 0 ? text : longFields.original(text)));
    return rebuildHeaders(this.#status(whole));
  }

  #returnAnswer(request: ClientHttp2Stream): void {
    const stream = this.#stream;
    request.on('error', () => undefined);
    request.on('response', (_headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]) => {
      if (stream.destroyed || stream.headersSent) return;
      const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      stream.respond(this.#whole(rawHeaders), endStream ? { endStream } : { waitForTrailers: true });
      this.#answered = endStream;
    });
    request.on('trailers', (_headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]) => {
      this.#trailers = this.#whole(rawHeaders);
    });
    request.on('data', (bytes: Buffer) => {
      if (!stream.destroyed && !stream.write(bytes)) request.pause();
    });
    stream.on('drain', () => request.resume());
    request.on('end', () => {
      if (request.rstCode === constants.NGHTTP2_NO_ERROR && !stream.writableEnded) stream.end();
    });
    request.on('close', () => {
      if (request !== this.#request) return;
      if (request.rstCode !== constants.NGHTTP2_NO_ERROR) stream.close(request.rstCode);
      else this.#endBehindAnswer();
    });
  }
}

/** Header fields from their raw list, repeated ones as repeated fields. */
function rebuildHeaders(rawHeaders: readonly string[]): OutgoingHttpHeaders {
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
