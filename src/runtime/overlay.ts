/**
 * A container's view of an overlay that an engine mounted. overlayfs can't be idmapped, its layers can: a second
 * overlay is made of idmapped clones of the same layers. The engine's own overlay stays as it is, so that diff,
 * export and commit see unshifted owners. Nothing on the layers is ever chowned or copied.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { MountEntry } from '../system/mount-table.js';
import {
  attachTree,
  cloneTree,
  closeTree,
  type DetachedTree,
  mountFlag,
  mountOverlay,
} from '../system/mounts.js';
import { withFilesystemIds } from '../system/thread-credentials.js';
import { RuntimeRefusal } from './refusal.js';
import { shiftTree } from './shift.js';

/** The layers of a mounted overlay: absolute paths, uppermost first. */
export interface OverlayLayers {
  readonly lower: readonly string[];
  readonly upper?: string;
  /** Options that change what is written to or read from the layers, so that both overlays must agree on them. */
  readonly shared: readonly string[];
}

/** Longest option string of mount(2): a page with its ending NUL. */
const largestOptions = 4095;
const sharedOption =
  /^(redirect_dir=|metacopy=|xino=|volatile$|userxattr$|context=|fscontext=|defcontext=|rootcontext=)/;

/**
 * The layers of an overlay from its line in the mount table.
 * @throws RuntimeRefusal COFFERDAM_RUNTIME_HOST for an overlay whose layers can't be told
 */
export function overlayLayers(entry: MountEntry): OverlayLayers {
  let lower: string[] = [];
  let upper: string | undefined;
  const shared: string[] = [];
  for (const option of entry.superOptions) {
    const [name, value] = [option.slice(0, option.indexOf('=')), option.slice(option.indexOf('=') + 1)];
    if (name === 'lowerdir') lower.push(...value.split(/(?<!\\):/).map(unescapeLayer));
    else if (name === 'lowerdir+') lower.push(unescapeLayer(value));
    else if (name === 'upperdir') upper = unescapeLayer(value);
    else if (name === 'datadir+') throw unusable(entry, 'it has data-only layers');
    else if (sharedOption.test(option)) shared.push(option);
  }
  if (lower.length === 0 || lower.includes('')) throw unusable(entry, 'its lower folders are not shown');
  if (lower.some((path) => !isAbsolute(path))) lower = absoluteLayers(entry, lower, upper);
  return upper === undefined ? { lower, shared } : { lower, upper, shared };
}

function unescapeLayer(path: string): string {
  return path.replace(/\\([\\:,])/g, '$1');
}

function unusable(entry: MountEntry, why: string): RuntimeRefusal {
  return new RuntimeRefusal(
    'COFFERDAM_RUNTIME_HOST',
    `the overlay at ${entry.mountPoint} can't be shown to a user namespace: ${why}`,
  );
}

/**
 * Engines name layers relative to their storage folder where the option string would grow too long: overlay2 to
 * the folder above `ID/merged`, containerd to the one above `N/fs`.
 */
function absoluteLayers(entry: MountEntry, lower: readonly string[], upper: string | undefined): string[] {
  const bases = [entry.mountPoint, ...(upper !== undefined && isAbsolute(upper) ? [upper] : [])].map((path) =>
    dirname(dirname(path)),
  );
  for (const base of bases) {
    const paths = lower.map((path) => (isAbsolute(path) ? path : join(base, path)));
    if (paths.every((path) => existsSync(path))) return paths;
  }
  throw unusable(entry, 'its lower folders are relative, and not found');
}

/** The upper folder's place, where the new overlay's own work folder goes too. */
function upperParts(entry: MountEntry, layers: OverlayLayers): { parent: string; name: string } | undefined {
  if (layers.upper === undefined) return undefined;
  const upper = isAbsolute(layers.upper)
    ? layers.upper
    : join(dirname(dirname(entry.mountPoint)), layers.upper);
  return { parent: dirname(upper), name: basename(upper) };
}

/** Name of the second overlay's work folder, beside the upper folder. */
export const workFolderName = 'cofferdam-work';

/**
 * What the kernel leaves in a work folder of a volatile overlay, and refuses to mount again (overlayfs.rst). A step's
 * folder is mounted again where another step binds its result before the engine has finished with it.
 */
const volatileMark = 'work/incompat';

/**
 * Mounts the second overlay. Like every other mount of a container it opens no device (shift.ts).
 * @param target an empty folder whose parents others may search
 * @param attachAt a folder where the layers' clones are attached, one above the other, until the caller takes the
 *   mount that holds it away
 * @param owner the host ids of the container's root: the overlay works on its layers with these
 * @param volatile nothing in it is of use after a power cut, so that it needn't be brought to the disk
 */
export function mountShiftedOverlay(
  entry: MountEntry,
  target: string,
  attachAt: string,
  userNamespace: number,
  owner: { readonly uid: number; readonly gid: number },
  volatile = false,
): void {
  const layers = overlayLayers(entry);
  const upper = upperParts(entry, layers);
  const trees: DetachedTree[] = [];
  const shifted = (path: string): string => {
    const tree = cloneTree(path, { recursive: false, followLink: true });
    trees.push(tree);
    shiftTree(tree, { userNamespace, recursive: false, propagation: 'private' });
    // Kernels before 6.15 take only layers that are attached somewhere. The descriptor then names it in 17 bytes,
    // whatever its path is: 128 layers fit into the option string.
    attachTree(tree, attachAt);
    return `/proc/self/fd/${tree.descriptor}`;
  };
  try {
    const options = ['index=off', ...layers.shared, `lowerdir=${layers.lower.map(shifted).join(':')}`];
    if (upper !== undefined) {
      const work = join(upper.parent, workFolderName);
      mkdirSync(work, { recursive: true, mode: 0o700 });
      rmSync(join(work, volatileMark), { recursive: true, force: true });
      if (volatile && !layers.shared.includes('volatile')) options.push('volatile');
      const parent = shifted(upper.parent);
      options.push(`upperdir=${parent}/${escapeLayer(upper.name)}`, `workdir=${parent}/${workFolderName}`);
    }
    const text = options.join(',');
    if (text.length > largestOptions) throw unusable(entry, `${layers.lower.length} layers are too many`);
    withFilesystemIds(owner.uid, owner.gid, () => mountOverlay(target, text, mountFlag.nodev));
  } finally {
    for (const tree of trees) closeTree(tree);
  }
}

function escapeLayer(name: string): string {
  return name.replace(/[\\:,]/g, '\\$&');
}
