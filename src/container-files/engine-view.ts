/**
 * The engine's own mount of a container's file system. It and the container's are two overlays over the same layers,
 * each with its own memory of what is where: what the container did since, the engine's may not know. Remounting makes
 * the kernel forget that memory (fs/super.c, reconfigure_super); nothing else changes.
 */
import { mount } from '../system/libc.js';
import { MountTable } from '../system/mount-table.js';

const MS_REMOUNT = 0x20;

/**
 * Makes the engine's next look at a container's files a fresh one. Does nothing where the engine has no such mount:
 * then it makes one when it looks.
 * @param dataRoot `DockerRootDir` of GET /info
 * @param mergedFolder `GraphDriver.Data.MergedDir` of the container, where its image store tells it
 */
export function refreshEngineView(
  dataRoot: string,
  containerId: string,
  mergedFolder: string | undefined,
): void {
  const places = new Set([mergedFolder, `${dataRoot}/rootfs/overlayfs/${containerId}`]);
  for (const { mountPoint, type } of MountTable.read().entries) {
    if (type === 'overlay' && places.has(mountPoint)) {
      mount('overlay', mountPoint, null, MS_REMOUNT, null, `the engine's view of container ${containerId}`);
    }
  }
}
