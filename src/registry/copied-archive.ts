/**
 * Unpacks archives on their way into a container that doesn't run. dockerd up to 29.5 unpacks them after it went into
 * the container's root, by the programs `unpigz` and `xz` that it finds there: an image's own, as root on the host
 * (CVE-2026-41567). It gets what it can read by itself.
 */
import { once } from 'node:events';
import { createGunzip, type Gunzip } from 'node:zlib';
import type { Settings } from '../settings/schema.js';
import type { SendPiece, StreamJudge, StreamRefusal } from './stream-judge.js';
import { UnpackProgram } from './unpack-program.js';

/** As many bytes as moby looks at to tell the packing (go-archive/compression, Detect). */
export const headLength = 10;
const gzipMagic = Buffer.from([0x1f, 0x8b, 0x08]);
const xzMagic = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);

/**
 * The judge of a body for `PUT /containers/{id}/archive`; absent while isolation is off.
 * @param begin how the body begins, where that is known: one that isn't packed needs no judge
 */
export function copiedArchiveJudgeFor(settings: Settings, begin?: Buffer): StreamJudge | undefined {
  const goesOn = begin !== undefined && begin.length >= headLength && !isPacked(begin);
  return settings.enhancedContainerIsolation.value && !goesOn ? new CopiedArchive() : undefined;
}

/** True for archives that dockerd would start a program to unpack. */
function isPacked(head: Buffer): boolean {
  return [gzipMagic, xzMagic].some((magic) => head.subarray(0, magic.length).equals(magic));
}

/** Takes packed bytes; resolves when it has room for more. */
interface Way {
  /** Nothing is unpacked. */
  readonly isPlain?: true;
  write(piece: Uint8Array): Promise<void>;
  end(): Promise<void>;
  close(): void;
}

class CopiedArchive implements StreamJudge {
  #send: SendPiece | undefined;
  #head: Buffer = Buffer.alloc(0);
  #way: Way | undefined;

  get passesOn(): boolean {
    return this.#way?.isPlain === true;
  }

  /** Where it may, everything goes on by our own hands, also what goes on as it came. */
  get replaces(): boolean {
    return this.#send !== undefined;
  }

  replaceWith(send: SendPiece): void {
    this.#send = send;
  }

  chunk(bytes: Uint8Array): Promise<StreamRefusal | undefined> {
    return guarded(async () => {
      if (this.#way !== undefined) return this.#way.write(bytes);
      this.#head = Buffer.concat([this.#head, bytes]);
      if (this.#head.length >= headLength) await this.#start().write(this.#head);
    });
  }

  end(): Promise<StreamRefusal | undefined> {
    return guarded(async () => {
      if (this.#way === undefined) await this.#start().write(this.#head);
      await this.#way?.end();
    });
  }

  close(): void {
    this.#way?.close();
  }

  #start(): Way {
    this.#way = wayFor(this.#head, this.#send);
    return this.#way;
  }
}

/**
 * The way that an archive takes; bzip2 and zstd are left to dockerd, which has no program for them.
 * @param send absent where it can only go on as it came, with the length that was announced: to HTTP/1.0
 */
function wayFor(head: Buffer, send: SendPiece | undefined): Way {
  if (!isPacked(head)) {
    const asItCame = async () => undefined;
    return { isPlain: true, write: send ?? asItCame, end: asItCame, close: () => undefined };
  }
  if (send === undefined) throw new Error('send it plain, or by HTTP/1.1');
  if (head.subarray(0, xzMagic.length).equals(xzMagic)) {
    return new UnpackProgram('xz', async (piece) => {
      await send(piece);
      return true;
    });
  }
  return new GunzipWay(send);
}

class GunzipWay implements Way {
  readonly #gunzip: Gunzip = createGunzip();
  readonly #read: Promise<void>;

  constructor(send: SendPiece) {
    this.#read = this.#sendAll(send);
    // Told by `write` or `end`, whichever comes next.
    this.#read.catch(() => undefined);
  }

  async #sendAll(send: SendPiece): Promise<void> {
    for await (const piece of this.#gunzip) if (Buffer.isBuffer(piece)) await send(piece);
  }

  async write(piece: Uint8Array): Promise<void> {
    if (this.#gunzip.destroyed) return this.#read;
    if (!this.#gunzip.write(piece)) await Promise.race([once(this.#gunzip, 'drain'), this.#read]);
  }

  async end(): Promise<void> {
    this.#gunzip.end();
    await this.#read;
  }

  close(): void {
    this.#gunzip.destroy();
  }
}

async function guarded(step: () => Promise<void>): Promise<StreamRefusal | undefined> {
  try {
    await step();
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: 'deny', text: `the archive can't be unpacked: ${reason}`, setting: 'none' };
  }
}
