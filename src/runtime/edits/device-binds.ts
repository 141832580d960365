/** Devices that the host has by another name come as binds of nodes that were made for this container. */
import type { Edit } from './edit.js';

export const deviceBinds: Edit = {
  name: 'device-binds',
  apply(specification, context) {
    const made = context.deviceBinds;
    if (made === undefined || made.mounts.length === 0) return;
    specification.linux.devices = [...made.devices];
    // After the mount of /dev, which they go into.
    specification.mounts = [...(specification.mounts ?? []), ...made.mounts];
  },
};
