/** The container's root: the overlay with shifted owners instead of the engine's own mount. */
import type { Edit } from './edit.js';

export const rootFolder: Edit = {
  name: 'root-folder',
  apply(specification, context) {
    if (context.rootPath !== undefined) specification.root.path = context.rootPath;
  },
};
