/**
 * Namespaces as the kernel shows them in /proc and by ioctl_ns(2), and the way into another process's mounts.
 */
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { ioctl, setns, unshare } from './libc.js';

const NS_GET_USERNS = 0xb701;
const CLONE_FS = 0x200;
const CLONE_NEWNS = 0x20000;

/** An open namespace: the caller closes the descriptor. `inode` is its identity. */
export interface OpenNamespace {
  readonly descriptor: number;
  readonly inode: bigint;
}

/** Opens a namespace file (`/proc/PID/ns/…`, or one that is pinned by a bind mount). */
export function openNamespace(path: string): OpenNamespace {
  const descriptor = openSync(path, 'r');
  return { descriptor, inode: fstatSync(descriptor, { bigint: true }).ino };
}

/** The user namespace that owns a namespace (ioctl_ns(2), NS_GET_USERNS). */
export function owningUserNamespace(namespace: OpenNamespace, subject: string): OpenNamespace {
  const descriptor = ioctl(namespace.descriptor, NS_GET_USERNS, 'NS_GET_USERNS', subject);
  return { descriptor, inode: fstatSync(descriptor, { bigint: true }).ino };
}

/** Closes an open namespace. */
export function closeNamespace(namespace: OpenNamespace): void {
  closeSync(namespace.descriptor);
}

/** The inode of a process's namespace; `undefined` when there is no such process. */
export function namespaceInode(pid: number | 'self', kind: string): bigint | undefined {
  return statSync(`/proc/${pid}/ns/${kind}`, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** A line of uid_map or gid_map: `size` ids from `containerId` on are the host's from `hostId` on. */
export interface IdExtent {
  readonly containerId: number;
  readonly hostId: number;
  readonly size: number;
}

/** The mapping of a process's user namespace as seen from here (user_namespaces(7)). */
export function readIdMap(pid: number, kind: 'uid_map' | 'gid_map'): readonly IdExtent[] {
  return readFileSync(`/proc/${pid}/${kind}`, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [containerId = Number.NaN, hostId = Number.NaN, size = Number.NaN] = line
        .trim()
        .split(/\s+/)
        .map(Number);
      return { containerId, hostId, size };
    });
}

/**
 * Takes the calling thread into a mount namespace for good: every path that it opens from then on is that one's. Only
 * for a process that does nothing else: Node's other threads stay outside (a thread may go alone once it shares no
 * root and working folder with others).
 */
export function enterMountNamespace(descriptor: number): void {
  unshare(CLONE_FS);
  setns(descriptor, CLONE_NEWNS, 'a mount namespace');
}
