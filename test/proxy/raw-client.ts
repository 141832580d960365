/**
 * A client that sends bytes as they are and keeps what comes back: no HTTP library between the test and the socket.
 */
import { connect, type Socket } from 'node:net';

export class RawClient {
  readonly socket: Socket;
  #parts: Buffer[] = [];
  /** How many bytes have come in. */
  size = 0;
  ended = false;
  closed = false;
  error: Error | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on('data', (chunk) => {
      this.#parts.push(chunk);
      this.size += chunk.length;
      this.#wake();
    });
    this.socket.on('end', () => {
      this.ended = true;
      this.#wake();
    });
    this.socket.on('error', (error) => {
      this.error = error;
    });
    this.socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  /** Everything that has come in. */
  get received(): Buffer {
    if (this.#parts.length !== 1) this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0] ?? Buffer.alloc(0);
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  send(bytes: string | Buffer): this {
    if (typeof bytes === 'string') this.socket.write(bytes, 'latin1');
    else this.socket.write(bytes);
    return this;
  }

  /** Settled once the condition holds; fails when the connection ends before. */
  async until(condition: (client: RawClient) => boolean): Promise<this> {
    while (!condition(this)) {
      if (this.closed) throw new Error(`the connection ended with: ${JSON.stringify(this.text)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this;
  }

  untilText(text: string): Promise<this> {
    return this.until((client) => client.text.includes(text));
  }

  /** Everything until the other side ended. */
  async untilEnd(): Promise<string> {
    await this.until(({ ended, closed }) => ended || closed);
    return this.text;
  }

  /** Forgets what has come in. */
  forget(): this {
    this.#parts = [];
    this.size = 0;
    return this;
  }

  close(): void {
    this.socket.destroy();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** The status code of an answer. */
export function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);
}

/** The `message` of a JSON error answer; fails when the answer isn't one. */
export function messageOf(text: string): string {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  if (!/\r\ncontent-type: application\/json/i.test(head)) throw new Error(`not a JSON answer: ${text}`);
  const parsed: unknown = JSON.parse(body);
  if (typeof parsed !== 'object' || parsed === null || !('message' in parsed))
    throw new Error(`no message: ${text}`);
  return String(parsed.message);
}
