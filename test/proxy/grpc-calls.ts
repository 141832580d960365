/** gRPC calls of a test's client, and what becomes of them. */
import type {
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Stream,
} from 'node:http2';
import { MessageReader } from '../../src/proxy/grpc-messages.js';
import type { GrpcJudge } from '../../src/registry/buildkit/grpc-judge.js';

export type Answer = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  raw: readonly string[],
) => void;

export const method = '/moby.buildkit.v1.Control/Solve';

/** Lets every call pass. */
export const passing: GrpcJudge = {
  method: () => 'pass',
  message: () => Promise.resolve({ kind: 'allow' }),
};

/** The header fields of a call. */
export function call(path: string, more: OutgoingHttpHeaders = {}): OutgoingHttpHeaders {
  return {
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...more,
  };
}

export interface Outcome {
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly messages: readonly string[];
  readonly trailers: IncomingHttpHeaders;
  readonly code: number;
}

/** Everything that a call leads to. */
export function outcomeOf(stream: ClientHttp2Stream): Promise<Outcome> {
  return new Promise((resolve) => {
    let headers: IncomingHttpHeaders = {};
    let rawHeaders: readonly string[] = [];
    let trailers: IncomingHttpHeaders = {};
    const reader = new MessageReader();
    const messages: string[] = [];
    stream.on('response', (received: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      headers = received;
      rawHeaders = raw;
    });
    stream.on('trailers', (received: IncomingHttpHeaders) => {
      trailers = received;
    });
    stream.on('data', (bytes: Buffer) => messages.push(...reader.push(bytes).map(String)));
    stream.on('error', () => undefined);
    stream.on('close', () =>
      resolve({ headers, rawHeaders, messages, trailers, code: stream.rstCode ?? -1 }),
    );
  });
}

/** Answers each message with itself, then with a status. */
export const echo: Answer = (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.pipe(stream);
};
