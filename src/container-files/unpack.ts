/**
 * Unpacks an archive into a running container, in the container's own view of its files and with its own root's
 * rights. The engine would do it through its own mount of the file system, which the container doesn't see in folders
 * that only lower layers have, and through binds as the host's root. Follows what dockerd does with an archive (moby
 * go-archive, `Unpack` and `createTarFile`), but for device nodes and file capabilities, which aren't made.
 */
import { once } from 'node:events';
import { closeSync, futimesSync, openSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type Extract, extract, type Header } from 'tar-stream';
import type { ApprovedMount, Range } from '../uid-allocator/record.js';
import { callerMount } from './caller-mount.js';
import { attribute, Folder } from './folder.js';
import { asContainerRoot } from './rights.js';

export interface UnpackTarget {
  /** A process of the container. */
  readonly pid: number;
  readonly range: Range;
  /** Folder in the container. */
  readonly path: string;
  /** A folder must not be replaced by anything else, nor anything else by a folder. */
  readonly noOverwriteDirNonDir: boolean;
  /** Every entry gets this owner, as the container's ids. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Host paths that were approved for the container. */
  readonly mounts: readonly ApprovedMount[];
}

/** The archive can't be unpacked; the text is for the client. */
export class UnpackProblem extends Error {
  readonly code = 'COFFERDAM_UNPACK';
}

/**
 * Unpacks a tar stream, plain or gzip. Entries before the one that fails stay, as with dockerd.
 * @throws UnpackProblem for what the archive or the container's files don't allow
 */
export async function unpack(stream: Readable, target: UnpackTarget): Promise<void> {
  const root = openSync(`/proc/${target.pid}/root`, 'r');
  let destination: Folder;
  try {
    destination = Folder.resolve(root, target.path, target.range);
  } catch (error) {
    throw problem(target.path, error);
  } finally {
    closeSync(root);
  }
  const entries = extract();
  const fed = feed(stream, entries);
  fed.catch((error: unknown) => entries.destroy(asError(error)));
  try {
    const bind = callerMount(destination.descriptor, target.pid, target.mounts);
    const unpacking = new Unpacking(destination, target, bind);
    for await (const entry of entries) {
      try {
        await unpacking.take(entry.header, entry);
      } catch (error) {
        throw problem(entry.header.name, error);
      }
      entry.resume();
    }
    await fed;
    unpacking.finish();
  } catch (error) {
    throw error instanceof UnpackProblem
      ? error
      : new UnpackProblem(`the archive is unreadable: ${text(error)}`);
  } finally {
    entries.destroy(new Error('no more of it is read'));
    stream.destroy();
    destination.close();
  }
}

/** Gives the archive to its reader as fast as that takes it. */
async function feed(stream: Readable, entries: Extract): Promise<void> {
  const source = (await isGzip(stream)) ? stream.pipe(createGunzip()) : stream;
  // pipe() passes no errors on.
  if (source !== stream) stream.once('error', (error) => source.destroy(error));
  for await (const chunk of source) {
    if (!entries.write(chunk)) await once(entries, 'drain');
  }
  entries.end(null);
}

const compressed: readonly (readonly [string, Buffer])[] = [
  ['bzip2', Buffer.from('BZh')],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
];

/** @throws UnpackProblem for a compression that isn't read here */
async function isGzip(stream: Readable): Promise<boolean> {
  const head = await firstBytes(stream, 6);
  const other = compressed.find(([, magic]) => head.subarray(0, magic.length).equals(magic));
  if (other) {
    throw new UnpackProblem(
      `archives compressed with ${other[0]} can't be copied: send it plain or with gzip`,
    );
  }
  return head.subarray(0, 2).equals(Buffer.from([0x1f, 0x8b]));
}

/** Looks at the beginning of a stream without taking it. */
async function firstBytes(stream: Readable, count: number): Promise<Buffer> {
  for (;;) {
    if (stream.readableLength >= count || stream.readableEnded || stream.destroyed) break;
    const ended = await new Promise<boolean>((resolve, reject) => {
      stream.once('readable', () => resolve(stream.readableLength < count));
      stream.once('end', () => resolve(true));
      stream.once('error', reject);
    });
    if (ended) break;
  }
  const found: unknown = stream.read(Math.min(count, stream.readableLength));
  if (!Buffer.isBuffer(found)) return Buffer.alloc(0);
  stream.unshift(found);
  return found;
}

/** One entry on its way to the disk. */
class Unpacking {
  readonly #destination: Folder;
  readonly #target: UnpackTarget;
  /** The caller's own folder that is unpacked into. */
  readonly #bind: ApprovedMount | undefined;
  /** Folders by their names on the way: what is unpacked into one changes its time, so times come last. */
  readonly #folders = new Map<string, { readonly names: readonly string[]; readonly header: Header }>();

  constructor(destination: Folder, target: UnpackTarget, bind: ApprovedMount | undefined) {
    this.#destination = destination;
    this.#target = target;
    this.#bind = bind;
  }

  async take(header: Header, content: AsyncIterable<unknown>): Promise<void> {
    const names = partsOf(header.name);
    const path = names.join('/');
    if (header.type === 'directory') this.#folders.set(path, { names: [...names], header });
    else this.#folders.delete(path);
    const name = names.pop();
    // The archive's own root stands for the destination, which is there already.
    if (name === undefined) return;
    const parent = this.#parent(names);
    try {
      if (this.#makeRoom(parent, name, header.type === 'directory'))
        await this.#make(parent, name, header, content);
      else this.#refresh(parent, name, header);
    } finally {
      if (parent !== this.#destination) parent.close();
    }
  }

  /** Gives the folders their times. */
  finish(): void {
    for (const { names, header } of this.#folders.values()) {
      if (names.length === 0) continue;
      const folder = this.#parent(names);
      try {
        setTimes(folder.descriptor, header);
      } finally {
        if (folder !== this.#destination) folder.close();
      }
    }
  }

  /** The folder of an entry; folders that the archive doesn't tell of are made as root's, mode 0755. */
  #parent(names: readonly string[]): Folder {
    let at = this.#destination;
    for (const name of names) {
      const missing = at.entry(name) === undefined;
      if (missing) at.makeFolder(name);
      const next = at.folder(name);
      if (missing) next.attribute(this.#target.range.base, this.#target.range.base, 0o755);
      if (at !== this.#destination) at.close();
      at = next;
    }
    return at;
  }

  /** @returns false when a folder is to be made that is there already */
  #makeRoom(parent: Folder, name: string, folder: boolean): boolean {
    const existing = parent.entry(name);
    if (existing === undefined) return true;
    const kept = existing.isDirectory() && folder;
    if (kept) return false;
    if (this.#target.noOverwriteDirNonDir && existing.isDirectory() !== folder) {
      const [from, to] = folder ? ['non-directory', 'directory'] : ['directory', 'non-directory'];
      throw new UnpackProblem(`cannot overwrite ${from} "${name}" with ${to} "${this.#target.path}"`);
    }
    parent.remove(name);
    return true;
  }

  async #make(parent: Folder, name: string, header: Header, content: AsyncIterable<unknown>): Promise<void> {
    const { uid, gid } = this.#owner(header);
    switch (header.type) {
      case 'directory':
        parent.makeFolder(name);
        return this.#refresh(parent, name, header);
      case 'file':
      case 'contiguous-file': {
        const file = parent.makeFile(name);
        try {
          for await (const chunk of content) writeAll(file, chunk);
          asContainerRoot(this.#target.range, file, () => attribute(file, uid, gid, modeOf(header)));
          setTimes(file, header);
        } finally {
          closeSync(file);
        }
        return;
      }
      case 'symlink':
        return parent.makeLink(name, header.linkname ?? '', { uid, gid, mtime: header.mtime });
      case 'link':
        return this.#hardLink(parent, name, header.linkname ?? '');
      default:
        throw new UnpackProblem(
          `a ${header.type ?? 'file of unknown kind'} can't be made in an isolated container`,
        );
    }
  }

  #hardLink(parent: Folder, name: string, from: string): void {
    const names = partsOf(from);
    const last = names.pop();
    if (last === undefined) throw new UnpackProblem(`invalid hardlink "${from}"`);
    const folder = this.#parent(names);
    try {
      parent.makeHardLink(name, folder, last);
    } finally {
      if (folder !== this.#destination) folder.close();
    }
  }

  /** A folder gets what its entry says whether it was there or not. */
  #refresh(parent: Folder, name: string, header: Header): void {
    const { uid, gid } = this.#owner(header);
    const folder = parent.folder(name);
    try {
      folder.attribute(uid, gid, modeOf(header));
    } finally {
      folder.close();
    }
  }

  #owner(header: Header): { uid: number; gid: number } {
    const { range, owner } = this.#target;
    const bind = this.#bind;
    // In the caller's own folder the caller's number is the container's user; elsewhere it is a number like any other.
    const uid = owner?.uid ?? standIn(header.uid ?? 0, bind?.ownerUid, bind?.containerUid);
    const gid = owner?.gid ?? standIn(header.gid ?? 0, bind?.ownerGid, bind?.containerGid);
    if (uid >= range.size || gid >= range.size) {
      throw new UnpackProblem(
        `${header.name} belongs to ${uid}:${gid}, which the container's ${range.size} ids don't have`,
      );
    }
    return { uid: range.base + uid, gid: range.base + gid };
  }
}

/** An id of an archive as the container's: `inside` where it is the caller's own on disk. */
function standIn(id: number, onDisk: number | undefined, inside = 0): number {
  return id === onDisk ? inside : id;
}

/** The names on an entry's way. @throws UnpackProblem for one that leads out of the destination */
function partsOf(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.pop() === undefined)
      throw new UnpackProblem(`${path} is outside of the destination`);
    if (part !== '..') parts.push(part);
  }
  return parts;
}

function modeOf(header: Header): number {
  return (header.mode ?? 0o644) & 0o7777;
}

function writeAll(file: number, chunk: unknown): void {
  if (!Buffer.isBuffer(chunk)) throw new UnpackProblem('the archive is unreadable');
  for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
}

function setTimes(descriptor: number, { mtime }: Header): void {
  if (mtime !== undefined) futimesSync(descriptor, mtime, mtime);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const words: Readonly<Record<string, string>> = {
  EROFS: 'container rootfs is marked read-only',
  ENOSPC: 'no space left on device',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EOVERFLOW: 'its owner has no id on that file system',
  EINVAL: 'its owner has no id on that file system',
};

/** Node's texts name paths of this process; the client gets the entry's own name. */
function problem(name: string, error: unknown): UnpackProblem {
  if (error instanceof UnpackProblem) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'EROFS') return new UnpackProblem('container rootfs is marked read-only');
  return new UnpackProblem(`${name}: ${words[code] ?? (code || text(error))}`);
}
