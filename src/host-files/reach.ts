/**
 * Resolves a host path as its caller would: the kernel checks each folder on the way with the caller's own ids and
 * groups, links are followed as they would be for the caller, and what is found is told by its inode, so that it can
 * be recognised later. It must never open anything with more rights than the caller's.
 */
import { type BigIntStats, closeSync, fstatSync, lstatSync, readlinkSync } from 'node:fs';
import { dirname, isAbsolute, join, normalize, resolve } from 'node:path';
import { withCallerCredentials } from '../system/caller-credentials.js';
import { openResolved, resolveFlag } from '../system/open-beneath.js';
import { SystemCallError } from '../system/system-error.js';
import type { Caller } from '../uid-allocator/record.js';

export type FileType = 'file' | 'directory' | 'socket' | 'block' | 'character' | 'fifo';

/** What a path leads to. */
export interface Found {
  /** Every symbolic link resolved. */
  readonly real: string;
  readonly device: bigint;
  readonly inode: bigint;
  readonly type: FileType;
  readonly ownerUid: number;
  readonly ownerGid: number;
}

export type Reached =
  | { readonly kind: 'found'; readonly found: Found }
  /** Nothing has this name, as far as the caller may know. */
  | { readonly kind: 'missing' }
  /** The folder on the way that the caller can't search, or an errno's name. */
  | { readonly kind: 'refused'; readonly at: string };

/** The kernel follows at most 40 links (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * @param path absolute
 * @param caller whose eyes; for uid 0 they are root's
 */
export function reach(path: string, caller: Caller): Reached {
  if (!isAbsolute(path) || path.includes('\0')) return { kind: 'refused', at: 'EINVAL' };
  let descriptor: number;
  try {
    descriptor = openAs(path, caller);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return { kind: 'missing' };
    const at = error.code === 'EACCES' ? firstClosed(path, caller, MOST_LINKS) : error.code;
    return { kind: 'refused', at };
  }
  try {
    return describe(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Only a reference (O_PATH): searching the way is all that it takes. */
function openAs(path: string, caller: Caller): number {
  return withCallerCredentials(caller, () => openResolved(path, { resolve: resolveFlag.noMagicLinks }));
}

function describe(descriptor: number): Reached {
  const status = fstatSync(descriptor, { bigint: true });
  const real = readlinkSync(`/proc/self/fd/${descriptor}`);
  const type = typeOf(status);
  if (type === undefined) return { kind: 'refused', at: 'ELOOP' };
  if (!leadsTo(real, status.dev, status.ino)) return { kind: 'refused', at: 'ESTALE' };
  const { dev: device, ino: inode } = status;
  const found = {
    real,
    device,
    inode,
    type,
    ownerUid: Number(status.uid),
    ownerGid: Number(status.gid),
  } as const;
  return { kind: 'found', found };
}

function typeOf(status: BigIntStats): FileType | undefined {
  if (status.isDirectory()) return 'directory';
  if (status.isFile()) return 'file';
  if (status.isSocket()) return 'socket';
  if (status.isBlockDevice()) return 'block';
  if (status.isCharacterDevice()) return 'character';
  return status.isFIFO() ? 'fifo' : undefined;
}

/** The name that the kernel gives must be one: a removed folder, or one of another mount namespace, has none. */
function leadsTo(real: string, device: bigint, inode: bigint): boolean {
  try {
    const descriptor = openResolved(real, { resolve: resolveFlag.noMagicLinks | resolveFlag.noSymlinks });
    try {
      const status = fstatSync(descriptor, { bigint: true });
      return status.dev === device && status.ino === inode;
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof SystemCallError) return false;
    throw error;
  }
}

/** The first folder on the way that the caller can't search, for the error's text; only seen with the caller's eyes. */
function firstClosed(path: string, caller: Caller, linksLeft: number): string {
  const names = normalize(path)
    .split('/')
    .filter((name) => name !== '');
  let folder = '/';
  for (const name of names) {
    const next = join(folder, name);
    if (!isReachable(next, caller)) {
      const target = linksLeft > 0 ? linkTarget(next, caller) : undefined;
      return target === undefined ? folder : firstClosed(resolve(folder, target), caller, linksLeft - 1);
    }
    folder = next;
  }
  return dirname(path);
}

function isReachable(path: string, caller: Caller): boolean {
  try {
    closeSync(openAs(path, caller));
    return true;
  } catch (error) {
    if (error instanceof SystemCallError) return error.code !== 'EACCES';
    throw error;
  }
}

/** Where a link leads, as far as the caller can read it. */
function linkTarget(path: string, caller: Caller): string | undefined {
  try {
    return withCallerCredentials(caller, () =>
      lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined,
    );
  } catch {
    return undefined;
  }
}
