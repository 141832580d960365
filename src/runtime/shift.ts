/**
 * Idmapping a detached clone of a mount, with an error that a person can act on when the filesystem can't. What a
 * container gets this way never opens a device: an image's layer or a volume may hold the node of a disk, and the
 * device rules of a privileged container let it pass. The container's own devices are binds in its /dev.
 */

import { MountTable } from '../system/mount-table.js';
import { type DetachedTree, setAttributes, type TreeAttributes } from '../system/mounts.js';
import { SystemCallError } from '../system/system-error.js';
import { RuntimeRefusal } from './refusal.js';

/**
 * Gives a detached tree a mapping, a container's attributes, and the other ones in the same step.
 * @throws RuntimeRefusal COFFERDAM_RUNTIME_HOST naming the filesystem that can't be idmapped
 */
export function shiftTree(
  tree: DetachedTree,
  attributes: TreeAttributes & { readonly userNamespace: number },
): void {
  try {
    // The engine's volumes are guarded against its own following of links; the container follows them as ever.
    setAttributes(tree, { ...attributes, noDevices: true, symbolicLinks: 'follow' });
  } catch (problem) {
    if (!(problem instanceof SystemCallError) || problem.code !== 'EINVAL') throw problem;
    throw new RuntimeRefusal(
      'COFFERDAM_RUNTIME_HOST',
      `${tree.source} can't be mounted with shifted owners: ${filesystemsOf(tree.source, attributes.recursive)} can't be idmapped by this kernel`,
      problem,
    );
  }
}

/** The filesystems that a clone of a path is made of, for a message. */
function filesystemsOf(path: string, recursive: boolean): string {
  const table = MountTable.read();
  const own = table.containing(path);
  const types = new Set(own === undefined ? [] : [own.type]);
  if (recursive) for (const entry of table.below(path)) types.add(`${entry.type} at ${entry.mountPoint}`);
  const [first = 'its filesystem', ...others] = types;
  return others.length === 0
    ? `a filesystem of type ${first}`
    : `one of the filesystems ${[first, ...others].join(', ')}`;
}
