/**
 * Flags that the kernel locks on a container's binds. A backend mounts a bind anew where the engine asked for a flag
 * such as `ro`, and must then name every locked one, or the kernel refuses (mount_namespaces(7), EPERM). runc learned
 * to look for them itself in 1.2.
 */
import type { Edit } from './edit.js';

/** Options with which a bind is mounted anew; `rro` and its like are set without. */
const remounting = new Set(['ro', 'nosuid', 'nodev', 'noexec', 'sync', 'dirsync', 'mand']);
const atime = new Set(['noatime', 'nodiratime', 'relatime', 'strictatime']);

export const mountFlags: Edit = {
  name: 'mount-flags',
  apply(specification, context) {
    for (const [index, flags] of context.mountFlags ?? []) {
      const mount = specification.mounts?.[index];
      const options = mount?.options ?? [];
      if (mount === undefined || !options.some((option) => remounting.has(option) || atime.has(option)))
        continue;
      mount.options = [...options, ...flags.filter((flag) => !options.includes(flag))];
    }
  },
};
