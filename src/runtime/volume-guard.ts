/**
 * Keeps the engine from following a container's symbolic links. dockerd fills an empty volume with what the image has
 * at the volume's place, as the host's root and by path (moby daemon/create_unix.go, populateVolumes; containerd
 * continuity fs/copy.go): a container that has the volume mounted meanwhile puts a link in the way, and the files land
 * wherever on the host it points. So no container gets a volume before the engine's folder of volumes, and whatever
 * is mounted in it, are mounts on which links lead nowhere. Containers' own clones follow them as ever (shift.ts).
 */
import { closeSync } from 'node:fs';
import { MountTable } from '../system/mount-table.js';
import { attachTree, cloneTree, closeTree, setAttributes } from '../system/mounts.js';
import { openResolved, resolveFlag } from '../system/open-beneath.js';
import { SystemCallError } from '../system/system-error.js';
import type { Specification } from './specification.js';

/** True when the container is to have something of the engine's volumes. */
export function usesVolumes({ mounts }: Specification, dataRoot: string): boolean {
  // A volume's subfolder is bound aside before it goes to the container.
  const places = [`${dataRoot}/volumes/`, `${dataRoot}/tmp/safe-mount`];
  return (mounts ?? []).some(({ source }) => places.some((place) => source?.startsWith(place)));
}

/**
 * Guards the engine's volumes; quick where they are guarded already.
 * @param dataRoot the engine's, as the kernel names it
 * @param table the mounts of a moment ago
 * @throws SystemCallError when it can't be done: then no container may have a volume
 */
export function guardVolumes(dataRoot: string, table: MountTable = MountTable.read()): void {
  const folder = `${dataRoot}/volumes`;
  if (!isMounted(folder, table)) {
    mountOnItself(folder);
    return;
  }
  const followed = table.entries
    .filter(({ mountPoint }) => mountPoint === folder || mountPoint.startsWith(`${folder}/`))
    .filter(({ options }) => !options.includes('nosymfollow'))
    .map(({ mountPoint }) => mountPoint);
  for (const mountPoint of new Set(followed)) refuseLinks(mountPoint);
}

/** Looked up anew before anything is mounted: another container's start may have been first. */
function isMounted(folder: string, table: MountTable): boolean {
  return table.at(folder) !== undefined || MountTable.read().at(folder) !== undefined;
}

/**
 * Volumes that are mounted in it at this moment come along, and stay in their groups: unmounted by the engine, they go
 * in both places. Otherwise the mount is cut off, so that what the engine mounts later isn't mounted twice.
 */
function mountOnItself(folder: string): void {
  const inUse = MountTable.read().below(folder).length > 0;
  const tree = cloneTree(folder, { recursive: true });
  try {
    setAttributes(tree, {
      symbolicLinks: 'refuse',
      recursive: true,
      propagation: inUse ? 'keep' : 'private',
    });
    attachTree(tree, folder);
  } finally {
    closeTree(tree);
  }
}

/** A mount is the engine's to take away at any time: one that is gone needs no guard. */
function refuseLinks(mountPoint: string): void {
  let descriptor: number;
  try {
    descriptor = openResolved(mountPoint, { resolve: resolveFlag.noSymlinks | resolveFlag.noMagicLinks });
  } catch (problem) {
    if (problem instanceof SystemCallError && problem.code === 'ENOENT') return;
    throw problem;
  }
  try {
    const mount = { descriptor, source: mountPoint };
    setAttributes(mount, { symbolicLinks: 'refuse', recursive: false, propagation: 'keep' });
  } catch (problem) {
    // Only the top of a mount takes attributes: what is there now is a folder.
    if (!(problem instanceof SystemCallError && problem.code === 'EINVAL')) throw problem;
    if (MountTable.read().at(mountPoint) !== undefined) throw problem;
  } finally {
    closeSync(descriptor);
  }
}
