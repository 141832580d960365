/**
 * Folders that the engine writes to by itself while a container runs. For every look at a container's files dockerd
 * prepares the container's mount points in its own overlay, which copies files and their folders up into the upper
 * layer (moby daemon/containerfs_linux.go, openContainerFS). The container's overlay over the same layers never learns
 * of it: it would try to copy such a folder up itself, find it there, and fail with ENOTEMPTY for good. So these
 * folders are copied up before the container's overlay is mounted. Nothing of them changes, and `docker diff` takes
 * an unchanged folder for none.
 */
import { chmodSync, closeSync, fstatSync } from 'node:fs';
import { dirname } from 'node:path';
import type { MountTable } from '../system/mount-table.js';
import { openResolved, resolveFlag } from '../system/open-beneath.js';
import { SystemCallError } from '../system/system-error.js';
import { isBind } from './bind-mounts.js';
import type { Specification } from './specification.js';

/** Folders are references here, not open files (open(2)). */
const O_PATH = 0x200000;
const O_DIRECTORY = 0o200000;

/** Copies up the folders in which the engine has mount points; those that the image lacks are made later by the backend. */
export function copyUpEngineFolders(specification: Specification, mountTable: MountTable): void {
  const merged = specification.root.path;
  if (mountTable.at(merged)?.type !== 'overlay') return;
  const folders = new Set(
    (specification.mounts ?? []).filter(isBind).map(({ destination }) => dirname(destination)),
  );
  const root = openResolved(merged, { resolve: 0, flags: O_PATH | O_DIRECTORY });
  try {
    for (const folder of folders) copyUp(root, folder);
  } finally {
    closeSync(root);
  }
}

function copyUp(root: number, folder: string): void {
  let descriptor: number;
  try {
    descriptor = openResolved(folder, {
      directory: root,
      resolve: resolveFlag.inRoot | resolveFlag.noMagicLinks,
      flags: O_PATH | O_DIRECTORY,
    });
  } catch (error) {
    if (error instanceof SystemCallError && ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(error.code)) return;
    throw error;
  }
  try {
    // Setting attributes copies up, also when they stay what they are (fs/overlayfs/inode.c, ovl_setattr).
    chmodSync(`/proc/self/fd/${descriptor}`, fstatSync(descriptor).mode & 0o7777);
  } finally {
    closeSync(descriptor);
  }
}
