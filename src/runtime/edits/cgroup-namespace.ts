/**
 * Every isolated container has a cgroup namespace of its own, also where the engine's default is the host's.
 */
import type { Edit } from './edit.js';

export const cgroupNamespace: Edit = {
  name: 'cgroup-namespace',
  apply(specification) {
    const { namespaces } = specification.linux;
    if (!namespaces.some((namespace) => namespace.type === 'cgroup')) namespaces.push({ type: 'cgroup' });
  },
};
