/**
 * Device nodes under another name than the host's (`--device /dev/zero:/dev/mine`). A user namespace can't make
 * nodes, so backends bind the host's own by the same name; for another name a node is made in the container's
 * stage, with the owner and mode that the engine read from the host's: it opens to whom the host's would.
 */
import { chmodSync, lstatSync } from 'node:fs';
import { makeDeviceNode } from '../system/device-node.js';
import { refused } from './refusal.js';
import type { Specification, SpecificationDevice, SpecificationMount } from './specification.js';
import type { Stage } from './staging.js';

/** Binds that take the place of devices in the specification. */
export interface DeviceBinds {
  /** The devices that the backend still makes by itself. */
  readonly devices: readonly SpecificationDevice[];
  readonly mounts: readonly SpecificationMount[];
}

/** Makes the nodes that the host doesn't have by the name that the container is to have. */
export function bindRenamedDevices(specification: Specification, stage: Stage): DeviceBinds {
  const devices: SpecificationDevice[] = [];
  const mounts: SpecificationMount[] = [];
  for (const device of specification.linux.devices ?? []) {
    if (isOnHost(device)) {
      devices.push(device);
      continue;
    }
    const { type, major, minor, fileMode, uid = 0, gid = 0 } = device;
    if ((type !== 'c' && type !== 'b') || major === undefined || minor === undefined) {
      throw refused(`${device.path} is a device of a kind that can't be shown to a user namespace`);
    }
    const source = stage.newName('device');
    // Without a mode nobody but root could say who may use it, so nobody does.
    const mode = (fileMode ?? 0o600) & 0o777;
    makeDeviceNode(source, type, { major, minor, mode, uid, gid });
    chmodSync(source, mode);
    mounts.push({ destination: device.path, type: 'bind', source, options: ['bind', 'rprivate'] });
  }
  return { devices, mounts };
}

/** Below /dev nobody but root can put a link in the way after this look; /dev/shm is the one place where everybody can. */
function isOnHost(device: SpecificationDevice): boolean {
  if (!device.path.startsWith('/dev/') || device.path.startsWith('/dev/shm/')) return false;
  const status = lstatSync(device.path, { throwIfNoEntry: false });
  if (status === undefined) return false;
  if (device.type === 'c' ? !status.isCharacterDevice() : !status.isBlockDevice()) return false;
  // The kernel's encoding of a device number (include/linux/kdev_t.h, new_encode_dev, and glibc's of the high bits).
  const major = (status.rdev >>> 8) & 0xfff;
  const minor = (status.rdev & 0xff) | ((status.rdev >>> 12) & 0xfff00);
  return major === device.major && minor === device.minor;
}
