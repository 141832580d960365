/**
 * The container's root in its stage: the engine's overlay a second time, from idmapped layers; for storage drivers
 * without overlays, an idmapped clone of the folder.
 */

import type { MountTable } from '../system/mount-table.js';
import { attachTree, cloneTree, closeTree } from '../system/mounts.js';
import type { Range } from '../uid-allocator/record.js';
import { wholeRange } from './id-mapping.js';
import type { NamespaceSet } from './namespace-set.js';
import { mountShiftedOverlay } from './overlay.js';
import { shiftTree } from './shift.js';
import type { Stage } from './staging.js';

/** @returns the folder that the specification is to name as its root */
export function mountRoot(
  path: string,
  stage: Stage,
  range: Range,
  mountTable: MountTable,
  namespaceFor: NamespaceSet['of'],
): string {
  const target = stage.root;
  const userNamespace = namespaceFor(wholeRange(range));
  const entry = mountTable.at(path);
  if (entry?.type === 'overlay') {
    const owner = { uid: range.base, gid: range.base };
    mountShiftedOverlay(entry, target, stage.newFolder('layers'), userNamespace, owner);
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
