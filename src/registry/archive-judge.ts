/**
 * Judges an archive while it streams by, whatever it is packed with. Plain and gzip archives go on as they came, each
 * chunk after what is in it was read. For the other packings the engine gets the unpacked archive, piece by piece:
 * another program unpacks them, and how much of a chunk it holds back can't be known, so that nothing else would do.
 */
import { createGunzip, type Gunzip } from 'node:zlib';
import type { SendPiece, StreamJudge, StreamRefusal } from './stream-judge.js';
import { TarProblem, type TarReader } from './tar-reader.js';
import { type Packing, UnpackProgram } from './unpack-program.js';

/** What is looked for in an archive. */
export interface ArchiveContent {
  /** Reads the unpacked archive. */
  readonly reader: TarReader;
  /** Judges what the reader has found so far. */
  inspect(): Promise<StreamRefusal | undefined>;
  /** The refusal of an archive that can't be read for sure; undefined for an error that says something else. */
  refusalOf(error: unknown): StreamRefusal | undefined;
}

export class ArchiveJudge implements StreamJudge {
  readonly #content: ArchiveContent;
  #head: Buffer = Buffer.alloc(0);
  #send: SendPiece | undefined;
  #gunzip: Gunzip | undefined;
  #program: UnpackProgram | undefined;
  #started = false;
  #problem: Error | undefined;
  #refusal: StreamRefusal | undefined;

  constructor(content: ArchiveContent) {
    this.#content = content;
  }

  replaceWith(send: SendPiece): void {
    this.#send = send;
  }

  /** True when the unpacked archive is sent, and what came isn't to go on. */
  get replaces(): boolean {
    return this.#program !== undefined;
  }

  chunk(bytes: Uint8Array): Promise<StreamRefusal | undefined> {
    return this.#guarded(async () => {
      if (this.#started) return this.#forward(bytes);
      this.#head = Buffer.concat([this.#head, bytes]);
      // moby looks at the first ten bytes.
      if (this.#head.length >= 10) await this.#start();
    });
  }

  end(): Promise<StreamRefusal | undefined> {
    return this.#guarded(async () => {
      if (!this.#started) await this.#start();
      if (this.#program !== undefined) await this.#program.end();
    });
  }

  close(): void {
    this.#gunzip?.destroy();
    this.#program?.close();
  }

  async #guarded(step: () => Promise<void>): Promise<StreamRefusal | undefined> {
    try {
      await step();
      return await this.#outcome();
    } catch (error) {
      const refusal = this.#content.refusalOf(error);
      if (refusal === undefined) throw error;
      return refusal;
    }
  }

  async #outcome(): Promise<StreamRefusal | undefined> {
    if (this.#problem !== undefined) throw this.#problem;
    // What a program unpacks is judged as it comes, before it is sent.
    return this.#program === undefined ? this.#content.inspect() : this.#refusal;
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
      this.#refusal = await this.#content.inspect();
      if (this.#refusal !== undefined) return false;
      await send(piece);
      return true;
    });
  }

  #read(piece: Uint8Array): void {
    if (this.#problem !== undefined) return;
    try {
      this.#content.reader.push(piece);
    } catch (error) {
      this.#problem = error instanceof Error ? error : new Error(String(error));
    }
  }

  async #forward(chunk: Uint8Array): Promise<void> {
    if (this.#program !== undefined) return this.#program.write(chunk);
    const gunzip = this.#gunzip;
    if (gunzip === undefined) this.#read(chunk);
    else if (this.#problem === undefined && !this.#content.reader.ended) {
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
