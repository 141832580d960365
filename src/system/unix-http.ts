/**
 * One HTTP request over a Unix socket, with the whole answer in memory: for small calls of the command line. It is
 * not for streams, and never in a client's way.
 */
import { type IncomingHttpHeaders, request } from 'node:http';

export interface SocketRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path with query, percent-encoded. */
  readonly path: string;
  readonly body?: Buffer | string | undefined;
  readonly contentType?: string;
}

export interface SocketAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Sends a request and reads its answer. Rejects with the system's error when nobody answers. */
export function requestOverSocket(socketPath: string, options: SocketRequest): Promise<SocketAnswer> {
  const { method, path, body, contentType } = options;
  const headers = {
    Host: 'docker',
    Connection: 'close',
    ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }),
    ...(contentType === undefined ? {} : { 'Content-Type': contentType }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
