/**
 * The container's root in its stage: the engine's overlay a second time, from idmapped layers; for storage drivers
 * without overlays, an idmapped clone of the folder.
 */

import { attachTree, cloneTree, closeTree } from '../system/mounts.js';
import type { BindContext } from './bind-approval.js';
import { wholeRange } from './id-mapping.js';
import type { NamespaceSet } from './namespace-set.js';
import { mountShiftedOverlay } from './overlay.js';
import { shiftTree } from './shift.js';
import type { Stage } from './staging.js';

/**
 * The root of a build step is volatile: unmounting its overlay brings a whole file system to the disk, and the engine
 * does that itself before it takes the step's result over (fs/overlayfs/super.c, ovl_sync_fs).
 * @returns the folder that the specification is to name as its root
 */
export function mountRoot(
  path: string,
  stage: Stage,
  { range, mountTable, layout }: Pick<BindContext, 'range' | 'mountTable' | 'layout'>,
  namespaceFor: NamespaceSet['of'],
): string {
  const target = stage.root;
  const userNamespace = namespaceFor(wholeRange(range));
  const entry = mountTable.at(path);
  if (entry?.type === 'overlay') {
    const owner = { uid: range.base, gid: range.base };
    const isStep = layout.kind === 'build';
    mountShiftedOverlay(entry, target, stage.newFolder('layers'), userNamespace, owner, isStep);
    return target;
  }
  const tree = cloneTree(path, { recursive: false });
  try {
    shiftTree(tree, { userNamespace, recursive: false, propagation: 'private' });
    attachTree(tree, target);
  } finally {
    closeTree(tree);
  }
  return target;
}
