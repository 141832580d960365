/**
 * Reads an archive out of a body, whatever it is packed with. Plain and gzip archives go on as they came, each chunk
 * after what is in it was read. For the other packings the engine gets the unpacked archive, piece by piece: another
 * program unpacks them, and how much of a chunk it holds back can't be known, so that nothing else would do.
 */
import { createGunzip, type Gunzip } from 'node:zlib';
import type { SendPiece, StreamRefusal } from './stream-judge.js';
import { TarProblem, type TarReader } from './tar-reader.js';
import { type Packing, UnpackProgram } from './unpack-program.js';

export class Unpacker {
  readonly #reader: TarReader;
  readonly #inspect: () => Promise<StreamRefusal | undefined>;
  #head: Buffer = Buffer.alloc(0);
  #send: SendPiece | undefined;
  #gunzip: Gunzip | undefined;
  #program: UnpackProgram | undefined;
  #started = false;
  #problem: Error | undefined;
  #refusal: StreamRefusal | undefined;

  /** @param inspect judges what the reader has found so far */
  constructor(reader: TarReader, inspect: () => Promise<StreamRefusal | undefined>) {
    this.#reader = reader;
    this.#inspect = inspect;
  }

  /** Lets unpacked archives be sent instead of what came. */
  sendUnpacked(send: SendPiece): void {
    this.#send = send;
  }

  /** True when the unpacked archive is sent, and what came isn't to go on. */
  get replaces(): boolean {
    return this.#program !== undefined;
  }

  /** Reads a chunk, and judges what it brought. @throws TarProblem */
  async push(chunk: Uint8Array): Promise<StreamRefusal | undefined> {
    if (this.#started) await this.#forward(chunk);
    else {
      this.#head = Buffer.concat([this.#head, chunk]);
      // moby looks at the first ten bytes.
      if (this.#head.length >= 10) await this.#start();
    }
    return this.#outcome();
  }

  /** The body is complete. @throws TarProblem */
  async end(): Promise<StreamRefusal | undefined> {
    if (!this.#started) await this.#start();
    if (this.#program !== undefined) await this.#program.end();
    return this.#outcome();
  }

  close(): void {
    this.#gunzip?.destroy();
    this.#program?.close();
  }

  async #outcome(): Promise<StreamRefusal | undefined> {
    if (this.#problem !== undefined) throw this.#problem;
    // What a program unpacks is judged as it comes, before it is sent.
    return this.#program === undefined ? this.#inspect() : this.#refusal;
  }

  async #start(): Promise<void> {
    this.#started = true;
    const head = this.#head;
    this.#head = Buffer.alloc(0);
    const packing = packingOf(head);
    if (packing === 'gzip') {
      this.#gunzip = createGunzip();
      this.#gunzip.on('data', (piece: Buffer) => this.#read(piece));
      this.#gunzip.on('error', (error) => {
        this.#problem ??= new TarProblem(error.message);
      });
    } else if (packing !== undefined) this.#program = this.#startProgram(packing);
    await this.#forward(head);
  }

  #startProgram(packing: Packing): UnpackProgram {
    const send = this.#send;
    if (send === undefined) throw new TarProblem(`an archive packed with ${packing} can't be read here`);
    return new UnpackProgram(packing, async (piece) => {
      this.#read(piece);
      if (this.#problem !== undefined) return false;
      this.#refusal = await this.#inspect();
      if (this.#refusal !== undefined) return false;
      await send(piece);
      return true;
    });
  }

  #read(piece: Uint8Array): void {
    if (this.#problem !== undefined) return;
    try {
      this.#reader.push(piece);
    } catch (error) {
      this.#problem = error instanceof Error ? error : new Error(String(error));
    }
  }

  async #forward(chunk: Uint8Array): Promise<void> {
    if (this.#program !== undefined) return this.#program.write(chunk);
    const gunzip = this.#gunzip;
    if (gunzip === undefined) this.#read(chunk);
    else if (this.#problem === undefined && !this.#reader.ended) {
      await new Promise<void>((resolve) => {
        gunzip.once('error', () => resolve());
        gunzip.write(chunk, () => resolve());
      });
      // Unpacked pieces may still be on their way to the listener.
      await new Promise((resolve) => setImmediate(resolve));
      gunzip.removeAllListeners('error').on('error', () => {});
    }
  }
}

/** The packing that moby's DetectCompression sees, or undefined for none. */
function packingOf(head: Buffer): 'gzip' | Packing | undefined {
  if (head.subarray(0, 3).equals(Buffer.from([0x1f, 0x8b, 0x08]))) return 'gzip';
  if (head.subarray(0, 3).toString('latin1') === 'BZh') return 'bzip2';
  if (head.subarray(0, 6).equals(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]))) return 'xz';
  const skippable =
    ((head[0] ?? 0) & 0xf0) === 0x50 && head.subarray(1, 4).equals(Buffer.from([0x2a, 0x4d, 0x18]));
  if (skippable || head.subarray(0, 4).equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))) return 'zstd';
  return undefined;
}
