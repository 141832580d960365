/**
 * A folder of a running container, held by a descriptor: its entries are reached through it, one name at a time and
 * never through a link, so that nothing that the container does meanwhile leads anywhere else.
 */
import {
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import { openResolved, resolveFlag } from '../system/open-beneath.js';
import type { Range } from '../uid-allocator/record.js';
import { asContainerRoot, asStranger } from './rights.js';

const resolveNoLinks = resolveFlag.noMagicLinks | resolveFlag.noSymlinks | resolveFlag.beneath;

/** Node doesn't name it (open(2)). */
const O_PATH = 0x200000;

/** Deepest tree that is removed: each level holds a descriptor. */
const deepest = 512;

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** What a new link gets; ids are the host's. */
interface LinkAttributes {
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Date | undefined;
}

export class Folder {
  readonly descriptor: number;
  readonly #range: Range;

  private constructor(descriptor: number, range: Range) {
    this.descriptor = descriptor;
    this.#range = range;
  }

  /**
   * Opens a path as the container itself resolves it, links followed inside its root.
   * @param root descriptor of the container's root folder
   * @throws SystemCallError ENOENT, ENOTDIR, ELOOP, EACCES
   */
  static resolve(root: number, path: string, range: Range): Folder {
    const open = (): number =>
      openResolved(path === '' ? '/' : path, {
        directory: root,
        resolve: resolveFlag.inRoot | resolveFlag.noMagicLinks,
        flags: constants.O_RDONLY | constants.O_DIRECTORY,
      });
    try {
      return new Folder(asStranger(range, open), range);
    } catch (error) {
      if (!hasCode(error, 'EACCES')) throw error;
    }
    // A private folder of another of the container's users is on the way: its root may pass, folder by folder.
    let at = new Folder(
      openResolved('.', { directory: root, resolve: resolveNoLinks, flags: constants.O_RDONLY }),
      range,
    );
    for (const name of path.split('/').filter((part) => part !== '' && part !== '.')) {
      const next = at.#enter(name);
      at.close();
      at = next;
    }
    return at;
  }

  /** The folder behind an entry; the caller closes it. @throws SystemCallError ENOTDIR or ELOOP for anything else */
  folder(name: string): Folder {
    return this.#enter(name);
  }

  #enter(name: string): Folder {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY;
    return new Folder(this.#reopen(name, O_PATH | constants.O_DIRECTORY, flags), this.#range);
  }

  /**
   * Opens an entry with the rights that the container's root has over what stands there at that moment: first only
   * a reference is taken, and the reference is what is opened.
   */
  #reopen(name: string, reference: number, flags: number): number {
    const held = this.#refer(name, reference, resolveNoLinks);
    try {
      return asContainerRoot(this.#range, held, () => openSync(`/proc/self/fd/${held}`, flags));
    } finally {
      closeSync(held);
    }
  }

  #refer(name: string, flags: number, resolve: number): number {
    return this.act(() => openResolved(name, { directory: this.descriptor, resolve, flags }));
  }

  /** What stands under a name, links not followed; undefined when nothing does. */
  entry(name: string): Stats | undefined {
    return this.act(() => lstatSync(this.#path(name), { throwIfNoEntry: false }));
  }

  makeFolder(name: string): void {
    this.act(() => mkdirSync(this.#path(name), { mode: 0o700 }));
  }

  /** A new file, open for writing; the caller closes the descriptor. */
  makeFile(name: string): number {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    return this.act(() => openSync(this.#path(name), flags, 0o600));
  }

  /** A file, open for reading; the caller closes the descriptor and checks what it got. */
  openFile(name: string): number {
    // A FIFO put in its place must not hold us up.
    return this.#reopen(name, O_PATH, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  /** What a link says. */
  linkTarget(name: string): string {
    return this.act(() => readlinkSync(this.#path(name)));
  }

  /** A new link with an owner, as host ids, and a time. */
  makeLink(name: string, target: string, { uid, gid, mtime }: LinkAttributes): void {
    this.act(() => symlinkSync(target, this.#path(name)));
    const held = this.#refer(
      name,
      O_PATH | constants.O_NOFOLLOW,
      resolveFlag.noMagicLinks | resolveFlag.beneath,
    );
    try {
      // The descriptor stands for the link itself, which isn't followed any further (proc(5)).
      const itself = `/proc/self/fd/${held}`;
      asContainerRoot(this.#range, held, () => {
        chownSync(itself, uid, gid);
        if (mtime !== undefined) utimesSync(itself, mtime, mtime);
      });
    } finally {
      closeSync(held);
    }
  }

  /** A second name for the file under `from` in another folder; links aren't followed (link(2)). */
  makeHardLink(name: string, other: Folder, from: string): void {
    this.act(() => linkSync(other.#path(from), this.#path(name)));
  }

  /** Gives this folder owner, group and permission bits, as host ids. */
  attribute(uid: number, gid: number, mode: number): void {
    this.act(() => attribute(this.descriptor, uid, gid, mode));
  }

  /** Removes whatever stands under a name, folders with all that is in them. */
  remove(name: string, depth = 0): void {
    const found = this.entry(name);
    if (found === undefined) return;
    if (!found.isDirectory()) {
      this.act(() => unlinkSync(this.#path(name)));
      return;
    }
    if (depth >= deepest) throw new Error('the folder to be replaced is too deep');
    const folder = this.#enter(name);
    try {
      for (const inner of folder.names()) folder.remove(inner, depth + 1);
    } finally {
      folder.close();
    }
    this.act(() => rmdirSync(this.#path(name)));
  }

  names(): string[] {
    return this.act(() => readdirSync(this.#path('.')));
  }

  close(): void {
    closeSync(this.descriptor);
  }

  /** Runs work on this folder's entries with the container root's rights over it. */
  act<Result>(work: () => Result): Result {
    return asContainerRoot(this.#range, this.descriptor, work);
  }

  /** One name below the descriptor: proc(5), /proc/self/fd. Never followed further by the calls here. */
  #path(name: string): string {
    if (name === '' || name === '..' || name.includes('/'))
      throw new Error(`${JSON.stringify(name)} is no entry's name`);
    return `/proc/self/fd/${this.descriptor}/${name}`;
  }
}

/** Owner first: changing it takes setuid and setgid bits away (chown(2)). */
export function attribute(descriptor: number, uid: number, gid: number, mode: number): void {
  fchownSync(descriptor, uid, gid);
  if ((fstatSync(descriptor).mode & 0o7777) !== mode) fchmodSync(descriptor, mode);
}
