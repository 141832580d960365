/**
 * What the rules need to know of a host path, and making a source that `-v` names before it exists. Everything here
 * happens with the caller's own rights; nothing is ever changed with root's.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Settings, SharedFolder } from '../settings/schema.js';
import { withCallerCredentials } from '../system/caller-credentials.js';
import { type MountEntry, MountTable } from '../system/mount-table.js';
import type { Caller } from '../uid-allocator/record.js';
import { type Found, type Reached, reach } from './reach.js';
import { type OwnPlaces, restriction } from './restricted.js';
import { isShared } from './shared-folders.js';
import { sharedGroups } from './shared-groups.js';

/** A host path as its caller sees it. */
export interface HostPath extends Partial<Found> {
  /** The first folder on the way that the caller can't search, or an errno's name. */
  readonly refusedAt?: string;
  /** Why no container may reach it. */
  readonly restricted?: string;
  /** True when it lies outside of the folders that may be mounted at all. */
  readonly unshared?: true;
  /** The group that owns it, when the settings let this caller use that group's files as its own. */
  readonly sharedGids?: readonly number[];
  /** A mount below it, and one that can't be copied: without them, what they cover would show. */
  readonly covered?: { readonly byMount: string; readonly byUnbindable?: string };
}

export class HostPaths {
  readonly #own: () => OwnPlaces;
  readonly #isSubordinate: (uid: number) => boolean;

  /**
   * @param own asked at each look-up: the engine's data folder is known only once it was reached
   * @param isSubordinate whether a uid is one that another user can be at will (see `Ledger`)
   */
  constructor(own: () => OwnPlaces, isSubordinate: (uid: number) => boolean) {
    this.#own = own;
    this.#isSubordinate = isSubordinate;
  }

  /**
   * Resolves a path with the caller's eyes. Without `real` it leads nowhere.
   * @param path absolute, not yet resolved
   * @param shared the only folders that may be mounted; absent: there is no such list
   */
  lookUp(
    path: string,
    caller: Caller,
    settings: Settings['hostFiles'],
    shared?: readonly SharedFolder[],
  ): HostPath {
    // Root's eyes are for root alone: a container that holds a socket doesn't get them, whoever started it.
    if (caller.uid === 0 && caller.container !== undefined) {
      return { refusedAt: 'a container has no rights of its own on the host' };
    }
    if (this.#isSubordinate(caller.uid)) {
      return { refusedAt: 'it is a subordinate id of another user, and no account' };
    }
    const own = this.#own();
    const reached = reach(path, caller);
    if (reached.kind === 'found') {
      const { found } = reached;
      const table = MountTable.read();
      const restricted = restriction(found.real, found, own, settings, table);
      const gids = sharedGroups(settings.groups, caller, found.ownerGid);
      const covered = coveredBy(table.below(found.real));
      return {
        ...found,
        ...(restricted !== undefined && { restricted }),
        ...unshared(found.real, caller, shared),
        ...(gids.length > 0 && { sharedGids: gids }),
        ...(covered !== undefined && { covered }),
      };
    }
    const where = this.#placeOfMissing(path, caller, reached);
    const restricted = where === undefined ? undefined : restriction(where, undefined, own, settings);
    return {
      ...(restricted !== undefined && { restricted }),
      ...unshared(where ?? normalize(path), caller, shared),
      ...(reached.kind === 'refused' && { refusedAt: reached.at }),
    };
  }

  /**
   * Makes a missing folder, and those on the way, as the caller and for the caller; mode 0755, as dockerd does.
   * Nothing happens where the path is there already, restricted, or out of the caller's reach.
   * @returns what is there afterwards; `refusedAt` says why nothing could be made
   */
  make(
    path: string,
    caller: Caller,
    settings: Settings['hostFiles'],
    shared?: readonly SharedFolder[],
  ): HostPath {
    const before = this.lookUp(path, caller, settings, shared);
    if (before.real !== undefined || before.restricted !== undefined || before.refusedAt !== undefined)
      return before;
    if (before.unshared) return before;
    try {
      withCallerCredentials(caller, () => makeFolders(normalize(path)));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'EIO';
      return { refusedAt: code === 'EACCES' ? this.#lastExisting(path, caller) : code };
    }
    return this.lookUp(path, caller, settings, shared);
  }

  /** Where a path that can't be resolved would be, as far as the way to it can. */
  #placeOfMissing(path: string, caller: Caller, reached: Reached): string | undefined {
    const clean = normalize(path);
    if (reached.kind === 'refused' || clean === '/') return clean;
    const parent = dirname(clean);
    const above = reach(parent, caller);
    const base = above.kind === 'found' ? above.found.real : this.#placeOfMissing(parent, caller, above);
    return base === undefined ? undefined : join(base, clean.slice(parent === '/' ? 1 : parent.length + 1));
  }

  #lastExisting(path: string, caller: Caller): string {
    const parent = dirname(path);
    return parent === path || reach(parent, caller).kind === 'found'
      ? parent
      : this.#lastExisting(parent, caller);
  }
}

function unshared(
  real: string,
  { uid }: Caller,
  folders: readonly SharedFolder[] | undefined,
): Pick<HostPath, 'unshared'> {
  return folders === undefined || isShared(real, uid, folders) ? {} : { unshared: true };
}

function coveredBy(below: readonly MountEntry[]): HostPath['covered'] {
  const [first] = below;
  if (first === undefined) return undefined;
  const unbindable = below.find(({ propagation }) => propagation.includes('unbindable'));
  return {
    byMount: first.mountPoint,
    ...(unbindable !== undefined && { byUnbindable: unbindable.mountPoint }),
  };
}

/** mkdir -p whose folders have mode 0755 whatever the process's umask; those that are there stay as they are. */
function makeFolders(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o755 });
  if (first === undefined) return;
  for (let folder = path; folder.length >= first.length; folder = dirname(folder)) chmodSync(folder, 0o755);
}
