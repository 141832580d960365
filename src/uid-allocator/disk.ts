/**
 * The few file operations that the ledger is made of, each of them atomic or without effect until a later one.
 * Behind an interface so that tests can end a "process" after any of them. It must never offer an operation that
 * leaves a half-written file under a name that counts: content is written to `temporary/` and then linked or renamed.
 */
import {
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { lockFile } from '../system/flock.js';
import { AllocatorError } from './errors.js';

/** Paths are relative to the ledger's folder. */
export interface LedgerDisk {
  /** Names in a folder, in no order. */
  list(folder: string): string[];
  /** A file's text; undefined when there is none. */
  read(path: string): string | undefined;
  exists(path: string): boolean;
  /** Makes a new file in `temporary/`; a crash may leave it torn. */
  write(path: string, content: string): void;
  /**
   * Writes over the beginning of a file in place, made when missing; a crash may leave it torn. Only for hints.
   * Replacing a file would have the file system write it out at once (ext4(5), auto_da_alloc).
   */
  overwrite(path: string, content: string): void;
  /** rename(2): replaces what is there. */
  rename(from: string, to: string): void;
  /** link(2): false when `to` is already there. */
  link(from: string, to: string): boolean;
  /** unlink(2): false when there is nothing. */
  remove(path: string): boolean;
  /** Milliseconds since the epoch of the last change of the file's content; undefined when there is none. */
  modified(path: string): number | undefined;
  /** Waits for the ledger's lock, which ends with its process; returns how to give it back. */
  lock(): () => void;
}

/** What tells a file apart from whatever may stand under its name later. */
export interface FileMark {
  readonly device: bigint;
  readonly inode: bigint;
  readonly size: bigint;
  /** `st_ctime` in nanoseconds: the last change of content, name or owner, which nothing can set. */
  readonly changed: bigint;
}

export const ledgerFolders = ['ranges', 'containers', 'intents', 'callers', 'temporary'] as const;

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The ledger on a real file system that has hard links. */
export class FileSystemDisk implements LedgerDisk {
  readonly #root: string;

  /**
   * Makes the folders, for root only.
   * @throws AllocatorError COFFERDAM_LEDGER_UNAVAILABLE
   */
  constructor(root: string) {
    this.#root = root;
    for (const folder of ledgerFolders) {
      this.#attempt(folder, () => mkdirSync(join(root, folder), { recursive: true, mode: 0o700 }));
    }
  }

  list(folder: string): string[] {
    return this.#attempt(folder, () => readdirSync(join(this.#root, folder)));
  }

  read(path: string): string | undefined {
    return this.#attempt(path, () =>
      this.#unless('ENOENT', () => readFileSync(join(this.#root, path), 'utf8')),
    );
  }

  exists(path: string): boolean {
    return this.modified(path) !== undefined;
  }

  write(path: string, content: string): void {
    this.#attempt(path, () => writeFileSync(join(this.#root, path), content, { flag: 'wx', mode: 0o600 }));
  }

  overwrite(path: string, content: string): void {
    this.#attempt(path, () => {
      const descriptor = openSync(join(this.#root, path), constants.O_WRONLY | constants.O_CREAT, 0o600);
      try {
        writeSync(descriptor, content, 0);
      } finally {
        closeSync(descriptor);
      }
    });
  }

  rename(from: string, to: string): void {
    this.#attempt(to, () => renameSync(join(this.#root, from), join(this.#root, to)));
  }

  link(from: string, to: string): boolean {
    return (
      this.#attempt(to, () =>
        this.#unless('EEXIST', () => {
          linkSync(join(this.#root, from), join(this.#root, to));
          return true;
        }),
      ) ?? false
    );
  }

  remove(path: string): boolean {
    return (
      this.#attempt(path, () =>
        this.#unless('ENOENT', () => {
          unlinkSync(join(this.#root, path));
          return true;
        }),
      ) ?? false
    );
  }

  modified(path: string): number | undefined {
    return this.#attempt(path, () => statSync(join(this.#root, path), { throwIfNoEntry: false })?.mtimeMs);
  }

  /** What the file under a name is; undefined when there is none. @throws AllocatorError COFFERDAM_LEDGER_UNAVAILABLE */
  mark(path: string): FileMark | undefined {
    const found = this.#attempt(path, () =>
      statSync(join(this.#root, path), { bigint: true, throwIfNoEntry: false }),
    );
    return found && { device: found.dev, inode: found.ino, size: found.size, changed: found.ctimeNs };
  }

  lock(): () => void {
    return this.#attempt('lock', () => lockFile(join(this.#root, 'lock')));
  }

  /**
   * Brings files and the folders that name them to the disk itself, so that they outlive a power cut.
   * @throws AllocatorError COFFERDAM_LEDGER_UNAVAILABLE
   */
  async sync(paths: readonly string[]): Promise<void> {
    const folders = new Set(paths.map((path) => dirname(path)));
    try {
      await Promise.all(paths.map((path) => this.#syncOne(path)));
      await Promise.all([...folders].map((folder) => this.#syncOne(folder)));
    } catch (cause) {
      throw this.#unavailable(paths.join(', '), cause);
    }
  }

  async #syncOne(path: string): Promise<void> {
    let handle: Awaited<ReturnType<typeof open>>;
    try {
      handle = await open(join(this.#root, path), 'r');
    } catch (error) {
      // Settled or given up in the meantime: then there is nothing left to keep.
      if (codeOf(error) === 'ENOENT') return;
      throw error;
    }
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  #unless<T>(code: string, act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      if (codeOf(error) === code) return undefined;
      throw error;
    }
  }

  #attempt<T>(path: string, act: () => T): T {
    try {
      return act();
    } catch (cause) {
      throw this.#unavailable(path, cause);
    }
  }

  #unavailable(path: string, cause: unknown): AllocatorError {
    const file = join(this.#root, path);
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new AllocatorError('COFFERDAM_LEDGER_UNAVAILABLE', `the ledger can't be used: ${reason}`, {
      file,
      cause,
    });
  }
}
