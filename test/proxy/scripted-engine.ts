/**
 * An engine of bytes: accepts connections on a unix socket, keeps what it receives, and answers as the test says. Only
 * for faults and orders of events that a real engine can't be made to produce.
 */
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from './start.js';

export class EngineSide {
  readonly socket: Socket;
  #parts: Buffer[] = [];
  /** How many bytes have come in. */
  size = 0;
  ended = false;
  closed = false;
  readonly #waiting: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#parts.push(chunk);
      this.size += chunk.length;
      this.#wake();
    });
    socket.on('end', () => {
      this.ended = true;
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
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

  /** Settled once the condition holds. */
  async until(condition: (side: EngineSide) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Settled once this many bytes of text have come in. */
  untilText(text: string): Promise<void> {
    return this.until((side) => side.text.includes(text));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

export class ScriptedEngine {
  readonly socket: string;
  /** Every connection so far, in the order of arrival. */
  readonly connections: EngineSide[] = [];
  readonly #folder: string;
  readonly #script: (side: EngineSide, index: number) => void | Promise<void>;
  #server: Server | undefined;

  constructor(script: (side: EngineSide, index: number) => void | Promise<void>) {
    this.#folder = temporaryFolder();
    this.socket = join(this.#folder, 'engine.sock');
    this.#script = script;
  }

  /** Everything that all connections received. */
  get text(): string {
    return this.connections.map(({ text }) => text).join('');
  }

  async start(): Promise<this> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const side = new EngineSide(socket);
      this.connections.push(side);
      void this.#script(side, this.connections.length - 1);
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.socket, resolve));
    return this;
  }

  /** Goes away with all its connections, as a killed engine does. */
  async halt(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  async stop(): Promise<void> {
    await this.halt();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Starts an engine whose every connection is handled by the script. */
export function startScriptedEngine(
  script: (side: EngineSide, index: number) => void | Promise<void>,
): Promise<ScriptedEngine> {
  return new ScriptedEngine(script).start();
}

/** Answers every request head with the same bytes, on every connection. */
export function answering(answer: string): (side: EngineSide) => Promise<void> {
  return async (side) => {
    let from = 0;
    for (;;) {
      await side.until(({ text, closed }) => closed || text.indexOf('\r\n\r\n', from) !== -1);
      if (side.closed) return;
      from = side.text.indexOf('\r\n\r\n', from) + 4;
      side.socket.write(answer, 'latin1');
    }
  };
}

/** A plain answer of the engine. */
export function ok(body = 'OK'): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}
