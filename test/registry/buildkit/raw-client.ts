/** A client of BuildKit that sends whatever a test wants: calls over `POST /grpc`, message by message. */
import { createHash } from 'node:crypto';
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { framed } from '../../../src/proxy/grpc-messages.js';
import { definition, message } from './messages.js';

export interface RawAnswer {
  /** The gRPC status code; undefined when the call was reset. */
  readonly status: string | undefined;
  readonly text: string;
}

export class RawBuildkit {
  readonly #session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  static async connect(path: string): Promise<RawBuildkit> {
    const socket = connect(path);
    socket.write('POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
    const head = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    const end = head.indexOf('\r\n\r\n') + 4;
    if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(head.toString('latin1'));
    socket.pause();
    if (head.length > end) socket.unshift(head.subarray(end));
    const session = connectHttp2('http://docker', { createConnection: () => socket });
    session.on('error', () => undefined);
    return new RawBuildkit(session);
  }

  /** One call with one message. `build` is the ref of the Solve that it belongs to. */
  call(path: string, bytes: Uint8Array, build?: string): Promise<RawAnswer> {
    return new Promise((resolve) => {
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...(build === undefined ? {} : { 'buildkit-controlapi-buildid': build }),
      });
      let status: string | undefined;
      let text = '';
      const note = (headers: IncomingHttpHeaders) => {
        const code = headers['grpc-status'];
        if (code === undefined) return;
        status = String(code);
        text = decodeURIComponent(String(headers['grpc-message'] ?? ''));
      };
      stream.on('response', note);
      stream.on('trailers', note);
      stream.on('error', () => undefined);
      stream.on('close', () => resolve({ status, text }));
      stream.resume();
      stream.end(framed(bytes));
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

/** A `pb.Definition` whose result is what this one operation gives. */
export function resultOf(operation: Uint8Array): Uint8Array {
  const digest = `sha256:${createHash('sha256').update(operation).digest('hex')}`;
  return definition(operation, message([1, message([1, digest])]));
}
