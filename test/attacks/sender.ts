/**
 * A client without any rights of root's: sends raw bytes from a process of its own, so that the proxy sees the
 * credentials of an unprivileged user.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';

const answerSchema = z.object({ answer: z.string(), error: z.string().optional() });

export interface RawAnswer {
  /** HTTP status; 0 when the connection ended, or stayed silent, without one. */
  readonly status: number;
  readonly text: string;
}

export class Sender {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  /** @param folder that the user can read */
  constructor(uid: number, gid: number, folder: string) {
    const script = join(folder, 'sender-process.mjs');
    copyFileSync(join(import.meta.dirname, 'sender-process.mjs'), script);
    this.#child = spawn(process.execPath, [script], {
      uid,
      gid,
      cwd: '/',
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Waits until the process runs. */
  async ready(): Promise<void> {
    await this.#lines.next();
  }

  /** Sends bytes over a connection of their own and returns the first answer. */
  async send(socket: string, method: string, bytes: Buffer): Promise<RawAnswer> {
    this.#child.stdin.write(`${JSON.stringify({ socket, method, bytes: bytes.toString('base64') })}\n`);
    const line = await this.#lines.next();
    const { answer } = answerSchema.parse(JSON.parse(String(line.value)));
    const text = Buffer.from(answer, 'base64')
      .toString('utf8')
      .replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, '');
    return { status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0), text };
  }

  close(): void {
    this.#reader.close();
    this.#child.kill('SIGKILL');
  }
}
