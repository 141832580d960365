/**
 * Finds a path in a running container as the container's own root would, and says of it what dockerd says.
 */
import { closeSync, fstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { openResolved, resolveFlag } from '../system/open-beneath.js';
import type { Range } from '../uid-allocator/record.js';
import { Folder } from './folder.js';
import { goFileMode } from './go-file-mode.js';
import { asStranger } from './rights.js';

const O_PATH = 0x200000;

/** Nothing that the container's root can reach stands under the path. */
export class NotReached extends Error {
  readonly code = 'COFFERDAM_NOT_REACHED';
}

/** What stands under a path; `close` it. */
export interface ReachedFile {
  /** The last name of the path as it was asked for: what archives call it. */
  readonly name: string;
  /** The folder itself, or the one that the file is in. */
  readonly folder: Folder;
  /** Absent for a folder. */
  readonly entry: string | undefined;
  readonly stats: Stats;
  /** Where a link leads in the container. */
  readonly linkTarget: string;
}

/**
 * @param path as the client names it; a link at its end is followed only with a trailing slash or dot
 * @throws NotReached
 */
export function reachFile(pid: number, range: Range, path: string): ReachedFile {
  const absolute = join('/', path);
  const root = openSync(`/proc/${pid}/root`, 'r');
  try {
    if (/(^|\/)\.?$/.test(path) || absolute === '/') return reachFolder(root, range, absolute, path);
    const parent = Folder.resolve(root, dirname(absolute), range);
    const entry = basename(absolute);
    const stats = parent.entry(entry);
    if (stats === undefined) {
      parent.close();
      throw new NotReached(path);
    }
    if (stats.isDirectory()) {
      parent.close();
      return reachFolder(root, range, absolute, path);
    }
    const linkTarget = stats.isSymbolicLink()
      ? targetOf(root, range, absolute, parent.linkTarget(entry))
      : '';
    return { name: entry, folder: parent, entry, stats, linkTarget };
  } catch (error) {
    if (error instanceof Error && 'code' in error && isUnreachable(error.code)) throw new NotReached(path);
    throw error;
  } finally {
    closeSync(root);
  }
}

function reachFolder(root: number, range: Range, absolute: string, path: string): ReachedFile {
  const folder = Folder.resolve(root, absolute, range);
  const name = /\/\.$/.test(path) ? '.' : basename(absolute) || '/';
  return { name, folder, entry: undefined, stats: fstatSync(folder.descriptor), linkTarget: '' };
}

function isUnreachable(code: unknown): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'EACCES';
}

/** The end of a chain of links; for a broken one what the first link says. */
function targetOf(root: number, range: Range, absolute: string, written: string): string {
  let descriptor: number;
  try {
    const resolve = resolveFlag.inRoot | resolveFlag.noMagicLinks;
    descriptor = asStranger(range, () => openResolved(absolute, { directory: root, resolve, flags: O_PATH }));
  } catch {
    return posix.resolve(dirname(absolute), written);
  }
  try {
    // A file of another mount namespace has its path there (fs/d_path.c).
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } finally {
    closeSync(descriptor);
  }
}

/** The answer's header `X-Docker-Container-Path-Stat` (moby api/types/container, PathStat). */
export function pathStatHeader({ name, stats, linkTarget }: ReachedFile): string {
  const { size, mtime } = stats;
  const told = { name, size, mode: goFileMode(stats), mtime: mtime.toISOString(), linkTarget };
  return Buffer.from(JSON.stringify(told)).toString('base64');
}
