/**
 * Whom a container's `User` means, by the container's own passwd and group files, as dockerd reads it for `docker cp
 * --archive` (moby daemon/archive_tarcopyoptions_unix.go).
 */
import { closeSync, constants, fstatSync, readFileSync } from 'node:fs';
import { openResolved, resolveFlag } from '../system/open-beneath.js';

/** Larger files than any host has; a container's is its own to fill. */
const largestFile = 16 << 20;

/**
 * @param user `Config.User`: `user`, `uid`, `user:group` or `uid:gid`
 * @returns ids of the container; undefined when its files don't know the name
 */
export function containerUser(pid: number, user: string): { uid: number; gid: number } | undefined {
  const [name = '', group] = user.split(':', 2);
  const entry = lines(pid, '/etc/passwd').find(([entryName, , uid]) => entryName === name || uid === name);
  const uid = number(entry?.[2] ?? name);
  const groupEntry =
    group === undefined
      ? undefined
      : lines(pid, '/etc/group').find(([n, , gid]) => n === group || gid === group);
  const gid = group === undefined ? number(entry?.[3] ?? '0') : number(groupEntry?.[2] ?? group);
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

function number(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

function lines(pid: number, path: string): string[][] {
  let file: number;
  const root = openResolved(`/proc/${pid}/root`, { resolve: 0 });
  try {
    const resolve = resolveFlag.inRoot | resolveFlag.noMagicLinks;
    file = openResolved(path, { directory: root, resolve, flags: constants.O_RDONLY | constants.O_NONBLOCK });
  } catch {
    return [];
  } finally {
    closeSync(root);
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile() || stats.size > largestFile) return [];
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } finally {
    closeSync(file);
  }
}
