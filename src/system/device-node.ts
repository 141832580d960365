/**
 * Device nodes (mknod(2)). Whether there may be one is for the caller to decide.
 */
import { chownSync } from 'node:fs';
import koffi from 'koffi';
import { SystemCallError } from './system-error.js';

const mknod: (path: string, mode: number, device: number) => number = koffi
  .load(null)
  .func('int mknod(const char *path, uint32_t mode, uint64_t device)');

const kinds = { c: 0o020000, b: 0o060000 } as const;

/** The number of a device as the kernel takes it for all majors and minors in use (makedev(3)). */
function deviceNumber(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

/** Makes a node with an owner; its mode is subject to the umask. @throws SystemCallError */
export function makeDeviceNode(
  path: string,
  kind: 'c' | 'b',
  node: {
    readonly major: number;
    readonly minor: number;
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
  },
): void {
  if (mknod(path, kinds[kind] | node.mode, deviceNumber(node.major, node.minor)) !== 0) {
    throw new SystemCallError('mknod', koffi.errno(), path);
  }
  chownSync(path, node.uid, node.gid);
}
