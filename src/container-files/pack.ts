/**
 * Packs what a running container has under a path, in its own view and with its own root's rights, with the owners that
 * it has inside. Names are those that dockerd gives (moby go-archive, `TarWithOptions` with a rebased name). Sockets
 * are left out, as there. Memory stays flat: one file is open at a time.
 */
import { closeSync, constants, fstatSync, read, type Stats } from 'node:fs';
import { promisify } from 'node:util';
import { type Header, type Pack, pack } from 'tar-stream';
import type { Range } from '../uid-allocator/record.js';
import type { Folder } from './folder.js';
import type { ReachedFile } from './reach.js';

const readAt = promisify(read);
const pieceBytes = 256 * 1024;
/** What the kernel shows for an id without a mapping (/proc/sys/kernel/overflowuid). */
const nobody = 65534;

/** The archive as a stream; destroying it ends the work, and `done` rejects. */
export function packFile(reached: ReachedFile, range: Range): { stream: Pack; done: Promise<void> } {
  const stream = pack();
  const packing = new Packing(stream, range);
  const done = packing.run(reached);
  return { stream, done };
}

class Packing {
  readonly #stream: Pack;
  readonly #range: Range;
  /** Names by device and inode of files that have several. */
  readonly #linked = new Map<string, string>();

  constructor(stream: Pack, range: Range) {
    this.#stream = stream;
    this.#range = range;
  }

  async run({ name, folder, entry, stats }: ReachedFile): Promise<void> {
    const base = name === '/' ? '' : name;
    if (entry === undefined) await this.#folder(folder, `${base}/`, stats);
    else await this.#entry(folder, entry, base, stats);
    this.#stream.finalize();
  }

  async #folder(folder: Folder, name: string, stats: Stats): Promise<void> {
    await this.#head({ ...this.#common(name, stats), type: 'directory', size: 0 });
    for (const entry of folder.names().sort()) {
      // What went away meanwhile isn't there to be packed.
      const found = folder.entry(entry);
      if (found !== undefined) await this.#entry(folder, entry, `${name}${entry}`, found);
    }
  }

  async #entry(folder: Folder, entry: string, name: string, stats: Stats): Promise<void> {
    if (stats.isDirectory()) {
      const inner = folder.folder(entry);
      try {
        await this.#folder(inner, `${name}/`, fstatSync(inner.descriptor));
      } finally {
        inner.close();
      }
    } else if (stats.isSymbolicLink()) {
      const linkname = folder.linkTarget(entry);
      await this.#head({ ...this.#common(name, stats), type: 'symlink', linkname, size: 0 });
    } else if (stats.isFile()) await this.#file(folder, entry, name);
    else if (!stats.isSocket())
      await this.#head({ ...this.#common(name, stats), ...special(stats), size: 0 });
  }

  async #file(folder: Folder, entry: string, name: string): Promise<void> {
    const file = folder.openFile(entry);
    try {
      const stats = fstatSync(file);
      if (!stats.isFile()) return;
      const key = `${stats.dev}:${stats.ino}`;
      const first = stats.nlink > 1 ? this.#linked.get(key) : undefined;
      if (first !== undefined) {
        await this.#head({ ...this.#common(name, stats), type: 'link', linkname: first, size: 0 });
        return;
      }
      if (stats.nlink > 1) this.#linked.set(key, name);
      await this.#content(file, { ...this.#common(name, stats), type: 'file', size: stats.size });
    } finally {
      closeSync(file);
    }
  }

  /** The head announces a size: what a growing file has beyond it is left out, and what a shrinking one lacks is zeros. */
  async #content(file: number, header: Pick<Header, 'name' | 'size'> & Partial<Header>): Promise<void> {
    const failed = new Promise<never>((_, reject) => {
      this.#stream.once('close', () => reject(new Error('nobody reads the archive any more')));
    });
    failed.catch(() => undefined);
    const sink = this.#stream.entry(header);
    for (let at = 0; at < header.size; ) {
      const wanted = Math.min(pieceBytes, header.size - at);
      const { bytesRead, buffer } = await readAt(file, Buffer.allocUnsafe(wanted), 0, wanted, at);
      const piece = bytesRead === 0 ? Buffer.alloc(wanted) : buffer.subarray(0, bytesRead);
      at += piece.length;
      if (!sink.write(piece))
        await Promise.race([new Promise<void>((resolve) => sink.once('drain', resolve)), failed]);
    }
    const finished = new Promise<void>((resolve) => sink.once('close', resolve));
    sink.end(null);
    await Promise.race([finished, failed]);
  }

  #head(header: Pick<Header, 'name'> & Partial<Header>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.entry(header, (error) => (error ? reject(error) : resolve()));
    });
  }

  #common(
    name: string,
    { mode, uid, gid, mtime }: Stats,
  ): Pick<Header, 'name' | 'mode' | 'uid' | 'gid' | 'mtime'> {
    return { name, mode: mode & 0o7777, uid: this.#inside(uid), gid: this.#inside(gid), mtime };
  }

  #inside(id: number): number {
    const { base, size } = this.#range;
    return id >= base && id < base + size ? id - base : nobody;
  }
}

function special({ mode, rdev }: Stats): Partial<Header> {
  const devmajor = (rdev >>> 8) & 0xfff;
  const devminor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  switch (mode & constants.S_IFMT) {
    case constants.S_IFBLK:
      return { type: 'block-device', devmajor, devminor };
    case constants.S_IFCHR:
      return { type: 'character-device', devmajor, devminor };
    default:
      return { type: 'fifo' };
  }
}
