/**
 * The container's user namespace: a new one with the container's range, or the one of the container it joins.
 */
import { refused } from '../refusal.js';
import type { Edit } from './edit.js';

export const userNamespace: Edit = {
  name: 'user-namespace',
  apply(specification, context) {
    const { linux } = specification;
    if (
      linux.namespaces.some((namespace) => namespace.type === 'user') ||
      (linux.uidMappings ?? []).length > 0 ||
      (linux.gidMappings ?? []).length > 0
    ) {
      throw refused(
        "the engine maps ids itself: take userns-remap out of its configuration, cofferdam's ranges replace it",
      );
    }
    const path = context.userNamespacePath;
    linux.namespaces.push(path === undefined ? { type: 'user' } : { type: 'user', path });
    const written = (extents: (typeof context.mapping)['uid']) =>
      extents.map(({ containerId, hostId, size }) => ({ containerID: containerId, hostID: hostId, size }));
    linux.uidMappings = written(context.mapping.uid);
    linux.gidMappings = written(context.mapping.gid);
  },
};
