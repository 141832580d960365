/**
 * Unpacks a stream with the host's bzip2, xz or zstd, as nobody and with a limit on memory: what comes is a client's.
 * It must never take more from the client than its reader takes of what is unpacked.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { TarProblem } from './tar-reader.js';

export type Packing = 'bzip2' | 'xz' | 'zstd';

const argv: Readonly<Record<Packing, readonly string[]>> = {
  bzip2: ['--decompress', '--stdout'],
  xz: ['--decompress', '--stdout', '--format=xz', '--memlimit-decompress=256MiB'],
  zstd: ['--decompress', '--stdout', '--quiet', '--no-sparse', '--memory=256MB'],
};

/** The user without rights, by the number that Debian and the kernel give it. */
const nobody = 65_534;

export class UnpackProgram {
  readonly #packing: Packing;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #read: Promise<void>;
  readonly #ended: Promise<number | null>;
  #stopped = false;
  #failure: Error | undefined;

  /** @param onPiece takes a piece of what is unpacked; false when no more is wanted */
  constructor(packing: Packing, onPiece: (piece: Buffer) => Promise<boolean>) {
    this.#packing = packing;
    const identity = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
    this.#child = spawn(packing, argv[packing], {
      ...identity,
      cwd: '/',
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.#child.on('error', () => {
      this.#failure ??= new TarProblem(`this host has no ${packing} to read the archive with`);
    });
    // It may end before it has taken everything.
    this.#child.stdin.on('error', () => {});
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', (code) => resolve(code));
      this.#child.on('error', () => resolve(null));
    });
    this.#read = this.#readAll(onPiece);
  }

  /** Gives it packed bytes. Resolves when it has room for more, or wants none. */
  async write(chunk: Uint8Array): Promise<void> {
    const { stdin } = this.#child;
    if (this.#stopped || this.#failure !== undefined || !stdin.writable) return this.#throw();
    if (!stdin.write(chunk))
      await Promise.race([once(stdin, 'drain').catch(() => undefined), this.#ended, this.#read]);
    this.#throw();
  }

  /** There is no more to unpack: waits until every piece was taken. @throws TarProblem when the stream is damaged */
  async end(): Promise<void> {
    if (this.#child.stdin.writable) this.#child.stdin.end();
    await this.#read;
    const code = await this.#ended;
    this.#throw();
    if (code !== 0 && !this.#stopped)
      throw new TarProblem(`the archive can't be unpacked by ${this.#packing}`);
  }

  close(): void {
    this.#stopped = true;
    this.#child.kill('SIGKILL');
    this.#child.stdout.destroy();
  }

  #throw(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #readAll(onPiece: (piece: Buffer) => Promise<boolean>): Promise<void> {
    try {
      for await (const piece of this.#child.stdout) {
        if (this.#stopped || !(await onPiece(piece))) break;
      }
    } catch (error) {
      if (!this.#stopped) this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
    if (this.#child.exitCode === null && !this.#child.stdout.readableEnded) this.close();
  }
}
