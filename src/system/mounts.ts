/**
 * Mounts, as the kernel's calls have them: detached clones of a tree, idmapping, attaching, unmounting. Every
 * function names what it was about when it fails. Nothing in here chooses what may be mounted.
 */
import { closeSync } from 'node:fs';
import { mount, mountSetattr, moveMount, openTree, umount2 } from './libc.js';

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0x80000;
const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
const MOUNT_ATTR_RDONLY = 0x1n;
const MOUNT_ATTR_NODEV = 0x4n;
const MOUNT_ATTR_NOSYMFOLLOW = 0x20_0000n;
const MOUNT_ATTR_IDMAP = 0x10_0000n;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** Flags of mount(2). */
export const mountFlag = {
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  bind: 4096,
  recursive: 16384,
  private: 1 << 18,
} as const;

/** A mount that is reachable by its descriptor alone until it is attached somewhere. */
export interface DetachedTree {
  readonly descriptor: number;
  /** Where it was cloned from, for messages. */
  readonly source: string;
}

/**
 * Clones the mount at a path (open_tree(2) with OPEN_TREE_CLONE); with `recursive` the mounts below it as well.
 * With `descriptor` it clones what that refers to (it may be O_PATH), and the path is for messages only. A path
 * whose last part is a symbolic link is followed only with `followLink`.
 */
export function cloneTree(
  source: string,
  options: { readonly recursive: boolean; readonly descriptor?: number; readonly followLink?: boolean },
): DetachedTree {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (options.recursive ? AT_RECURSIVE : 0);
  const nofollow = options.followLink === true ? 0 : AT_SYMLINK_NOFOLLOW;
  const descriptor =
    options.descriptor === undefined
      ? openTree(AT_FDCWD, source, flags | nofollow, source)
      : openTree(options.descriptor, '', flags | AT_EMPTY_PATH, source);
  return { descriptor, source };
}

/** What `setAttributes` changes of a tree. */
export interface TreeAttributes {
  /** A descriptor of the user namespace whose mapping the mount gets. */
  readonly userNamespace?: number;
  readonly readOnly?: boolean;
  /** Device nodes on it can't be opened. */
  readonly noDevices?: boolean;
  /** Whether symbolic links on it lead anywhere; absent, it stays as it is. */
  readonly symbolicLinks?: 'follow' | 'refuse';
  /** Changes the whole tree instead of its top mount. */
  readonly recursive: boolean;
  /** `private` cuts the clone off from its peers; `keep` leaves it in their group. */
  readonly propagation: 'private' | 'keep';
}

/**
 * mount_setattr(2) on a tree: a detached one, or a mount that is opened at its top. A filesystem that can't be
 * idmapped fails with EINVAL, and then nothing of the tree is changed.
 */
export function setAttributes(tree: DetachedTree, attributes: TreeAttributes): void {
  const structure = Buffer.alloc(32);
  let set = 0n;
  if (attributes.userNamespace !== undefined) set |= MOUNT_ATTR_IDMAP;
  if (attributes.readOnly === true) set |= MOUNT_ATTR_RDONLY;
  if (attributes.noDevices === true) set |= MOUNT_ATTR_NODEV;
  if (attributes.symbolicLinks === 'refuse') set |= MOUNT_ATTR_NOSYMFOLLOW;
  structure.writeBigUInt64LE(set, 0);
  structure.writeBigUInt64LE(attributes.symbolicLinks === 'follow' ? MOUNT_ATTR_NOSYMFOLLOW : 0n, 8);
  structure.writeBigUInt64LE(attributes.propagation === 'private' ? BigInt(mountFlag.private) : 0n, 16);
  structure.writeBigUInt64LE(BigInt(attributes.userNamespace ?? 0), 24);
  const flags = AT_EMPTY_PATH | (attributes.recursive ? AT_RECURSIVE : 0);
  mountSetattr(tree.descriptor, '', flags, structure, tree.source);
}

/** Attaches a detached tree at a path (move_mount(2)). The descriptor then refers to the attached mount. */
export function attachTree(tree: DetachedTree, target: string): void {
  moveMount(
    { directory: tree.descriptor, path: '' },
    { directory: AT_FDCWD, path: target },
    MOVE_MOUNT_F_EMPTY_PATH,
    `${tree.source} at ${target}`,
  );
}

/** Attaches a detached tree on what an open descriptor refers to, whatever its path is by now. */
export function attachTreeAt(tree: DetachedTree, target: number, subject: string): void {
  moveMount(
    { directory: tree.descriptor, path: '' },
    { directory: target, path: '' },
    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
    `${tree.source} at ${subject}`,
  );
}

/** Closes the descriptor; a tree that was never attached is gone with it. */
export function closeTree(tree: DetachedTree): void {
  closeSync(tree.descriptor);
}

/** Mounts an overlay at a path. `options` are the filesystem's own, comma separated, at most a page long. */
export function mountOverlay(target: string, options: string, flags: number): void {
  mount('overlay', target, 'overlay', flags, options, `an overlay at ${target}`);
}

/** Mounts a small tmpfs at a path. */
export function mountTmpfs(target: string, options: string): void {
  const flags = mountFlag.nosuid | mountFlag.noexec;
  mount('cofferdam', target, 'tmpfs', flags, options, `a tmpfs at ${target}`);
}

/** Makes a path a mount point of its own that neither sends nor gets mount events. */
export function mountPrivateBind(path: string): void {
  mount(path, path, null, mountFlag.bind, null, `${path} on itself`);
  mount('none', path, null, mountFlag.private, null, `${path} as private`);
}

/** Takes a mount and everything below it out of the tree at once; it goes on living where it is still in use. */
export function detach(path: string): void {
  umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
}
