/**
 * Acts on a running container's files with the rights that the container's own root has: everything on files whose
 * owner and group are of its range, and on others just what a stranger may (user_namespaces(7), capabilities and
 * inodes). The kernel decides that for a process inside the namespace; here it is done for a thread outside, because
 * no program of the host can be started inside a container. It must never lend root's rights to a foreign file.
 */
import { fstatSync } from 'node:fs';
import { withCallerCredentials } from '../system/caller-credentials.js';
import { withFilesystemIds } from '../system/thread-credentials.js';
import type { Range } from '../uid-allocator/record.js';

/** Owner and group of a file, as the mount in the container shows them to the host. */
interface Owned {
  readonly uid: number;
  readonly gid: number;
}

/** True when the container's root has its capabilities over a file. */
export function isOwn(range: Range, { uid, gid }: Owned): boolean {
  const inside = (id: number): boolean => id >= range.base && id < range.base + range.size;
  return inside(uid) && inside(gid);
}

/**
 * Runs synchronous work on what an open descriptor refers to, or on the entries of a folder.
 * @throws the work's own errors: EACCES and EPERM as a process inside would get them
 */
export function asContainerRoot<Result>(range: Range, descriptor: number, work: () => Result): Result {
  return isOwn(range, fstatSync(descriptor))
    ? withFilesystemIds(range.base, range.base, work)
    : asStranger(range, work);
}

/** Runs synchronous work with the ids of the container's root and none of its capabilities. */
export function asStranger<Result>(range: Range, work: () => Result): Result {
  return withCallerCredentials({ uid: range.base, gid: range.base, groups: [] }, work);
}
