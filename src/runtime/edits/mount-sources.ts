/** Binds come from the clones with shifted owners instead of the host's own files. */
import type { Edit } from './edit.js';

export const mountSources: Edit = {
  name: 'mount-sources',
  apply(specification, context) {
    for (const [index, source] of context.mountSources) {
      const mount = specification.mounts?.[index];
      if (mount !== undefined) mount.source = source;
    }
  },
};
