/**
 * A client that costs next to nothing: HTTP/1.1 on plain sockets, reading no more of an answer than its length.
 * Only for servers that answer with a Content-Length on keep-alive connections, or close the connection.
 */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';

/** What a connection reads at once, into one buffer: with a new one for each read the client costs what a proxy does. */
const answerBytes = 4096;

/** One keep-alive connection that has at most one request under way. */
export class KeepAlive {
  readonly #socket: Socket;
  readonly #request: Buffer;
  #received: Buffer = Buffer.alloc(0);
  #answered: (() => void) | undefined;
  #failed: ((problem: Error) => void) | undefined;

  private constructor(path: string, request: string) {
    const buffer = Buffer.alloc(answerBytes);
    const callback = (count: number): boolean => {
      this.#take(buffer.subarray(0, count));
      return true;
    };
    const socket = createConnection({ path, onread: { buffer, callback } });
    this.#socket = socket;
    this.#request = Buffer.from(request);
    socket.on('error', (problem) => this.#failed?.(problem));
    socket.on('close', () => this.#failed?.(new Error('the connection was closed')));
  }

  static async open(path: string, request: string): Promise<KeepAlive> {
    const connection = new KeepAlive(path, request);
    await once(connection.#socket, 'connect');
    return connection;
  }

  /** Sends the request and waits for its whole answer. */
  ask(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
      this.#socket.write(this.#request);
    });
  }

  close(): void {
    this.#failed = undefined;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    const head = this.#received.indexOf('\r\n\r\n');
    if (head === -1) return;
    const text = this.#received.toString('latin1', 0, head);
    if (!/^HTTP\/1\.1 20[01] /.test(text)) {
      this.#failed?.(new Error(text.split('\r\n')[0]));
      return;
    }
    const length = Number(/^content-length: *(\d+)/im.exec(text)?.[1]);
    if (this.#received.length < head + 4 + length) return;
    this.#received = this.#received.subarray(head + 4 + length);
    this.#answered?.();
  }
}

export interface Transfer {
  /** Bytes of the answer, head included. */
  readonly received: number;
  readonly status: string;
  readonly milliseconds: number;
}

/**
 * What a transfer reads is forgotten at once. In memory of its own for each read, as `data` events have it, a client
 * costs more than any of the proxies, and on two CPUs that is what would be measured. Transfers come one at a time.
 */
const transferBuffer = Buffer.alloc(64 * 1024);

/** Sends a request and, with it, `upload` bytes; reads the answer until the server closes the connection. */
export async function transfer(
  path: string,
  head: string,
  upload?: { readonly bytes: number; readonly chunked: boolean },
): Promise<Transfer> {
  let received = 0;
  let status = '';
  const callback = (count: number): boolean => {
    if (received === 0)
      status = transferBuffer.toString('latin1', 0, Math.max(0, transferBuffer.indexOf('\r\n')));
    received += count;
    return true;
  };
  const socket = createConnection({ path, onread: { buffer: transferBuffer, callback } });
  await once(socket, 'connect');
  const begin = performance.now();
  const ended = once(socket, 'end');
  socket.write(head);
  if (upload) await send(socket, upload.bytes, upload.chunked);
  await ended;
  socket.destroy();
  return { received, status, milliseconds: performance.now() - begin };
}

const block = Buffer.alloc(1024 * 1024, 'x');

/** Writes `bytes` of filler to a stream, no faster than it takes them. */
export async function send(socket: Socket, bytes: number, chunked: boolean): Promise<void> {
  for (let left = bytes; left > 0; ) {
    const piece = left < block.length ? block.subarray(0, left) : block;
    if (chunked) socket.write(`${piece.length.toString(16)}\r\n`);
    const room = socket.write(piece);
    if (chunked) socket.write('\r\n');
    left -= piece.length;
    if (!room) await once(socket, 'drain');
  }
  if (chunked) socket.write('0\r\n\r\n');
}

/** Opens a hijacked stream (attach) and gives its socket, once the server has switched. */
export async function hijack(path: string, target: string): Promise<Socket> {
  const socket = createConnection({ path });
  await once(socket, 'connect');
  socket.write(`POST ${target} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`);
  let head = '';
  while (!head.includes('\r\n\r\n')) {
    const [chunk] = await once(socket, 'data');
    if (!Buffer.isBuffer(chunk)) throw new Error('the connection was closed');
    head += chunk.toString('latin1');
  }
  if (!head.startsWith('HTTP/1.1 101')) throw new Error(`not hijacked: ${head.split('\r\n')[0]}`);
  return socket;
}
