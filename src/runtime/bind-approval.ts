/**
 * May this bind be mounted, and with whose rights? The runtime believes nothing: what isn't the engine's own, and
 * wasn't approved for this very container, is refused whatever the engine was told. It never mounts by itself.
 */
import { constants, fstatSync, realpathSync, type Stats, statSync } from 'node:fs';
import type { MountTable } from '../system/mount-table.js';
import { openResolved, resolveFlag } from '../system/open-beneath.js';
import { SystemCallError } from '../system/system-error.js';
import type { ApprovedMount, ContainerRecord, Range } from '../uid-allocator/record.js';
import { type EngineLayout, type ManagedSource, managedSource } from './engine-layout.js';
import { callerMapping, type IdMapping, wholeRange } from './id-mapping.js';
import { refused } from './refusal.js';
import type { SpecificationMount } from './specification.js';

/** A source that may be mounted. The caller closes the descriptor, which was opened with O_PATH. */
export interface PermittedBind {
  readonly descriptor: number;
  readonly source: string;
  readonly directory: boolean;
  readonly mapping: IdMapping;
  /** True when the approval itself is for reading only. */
  readonly readOnly: boolean;
  /** True for a path of the host that was approved, false for the engine's own files and volumes. */
  readonly ofHost: boolean;
}

export interface BindContext {
  readonly record: ContainerRecord;
  /** The range that the container runs with: its own, or that of the container whose namespaces it joins. */
  readonly range: Range;
  readonly layout: EngineLayout;
  readonly mountTable: MountTable;
  /** Ids of the containers whose namespaces it joins: their hosts file and shared memory come along. */
  readonly joined: readonly string[];
  /** Arguments of the container's first process. */
  readonly processArguments: readonly string[];
  /** Whom the container runs as: its image may name the user, and its own passwd file says the number. */
  readonly processUser: { readonly uid: number; readonly gid: number };
}

/**
 * @throws RuntimeRefusal COFFERDAM_RUNTIME_REFUSED when it may not be mounted
 */
export function permitBind(mount: SpecificationMount, context: BindContext): PermittedBind {
  const source = mount.source ?? '';
  const approved = context.record.mounts.find((entry) => samePath(entry.destination, mount.destination));
  if (approved !== undefined) return approvedBind(approved, context);
  const managed = managedSource(context.layout, source);
  if (managed === undefined) {
    const init = initProgram(mount, context);
    if (init !== undefined) return open(init, wholeRange(context.range), { readOnly: true, ofHost: false });
    throw refused(
      `the bind mount of ${source} at ${mount.destination} was not approved for this container; create the container through the cofferdam socket`,
    );
  }
  requireOwn(managed, mount, context);
  return open(source, wholeRange(context.range), { readOnly: false, ofHost: false });
}

function samePath(one: string, other: string): boolean {
  const trim = (path: string): string => path.replace(/\/+/g, '/').replace(/(?<=.)\/$/, '');
  return trim(one) === trim(other);
}

function approvedBind(approved: ApprovedMount, context: BindContext): PermittedBind {
  const mapping =
    approved.mapping === 'identity' ? wholeRange(context.range) : mappingOfCaller(approved, context);
  const permitted = open(approved.source, mapping, { readOnly: approved.readOnly, ofHost: true });
  const status = fstatSync(permitted.descriptor, { bigint: true });
  if (approved.ownSocket === true && status.isSocket() && status.uid === 0n) return permitted;
  if (status.dev.toString() !== approved.device || status.ino.toString() !== approved.inode) {
    throw refused(
      `${approved.source} is not the file or folder any more that was approved for ${approved.destination}; create the container again`,
    );
  }
  return permitted;
}

/** The owner is the container's root, or the user that the container runs as where that has the owner's number. */
function mappingOfCaller(approved: ApprovedMount, { range, processUser }: BindContext): IdMapping {
  const { ownerUid, ownerGid, subordinate } = approved;
  if (ownerUid === undefined || ownerGid === undefined || subordinate === undefined) {
    throw refused(`the approval of ${approved.source} doesn't say whose rights it carries`);
  }
  try {
    return callerMapping(range, {
      owner: { uid: ownerUid, gid: ownerGid },
      user: {
        uid: approved.containerUid ?? (processUser.uid === ownerUid ? ownerUid : 0),
        gid: approved.containerGid ?? (processUser.gid === ownerGid ? ownerGid : 0),
      },
      subordinate,
      sharedGids: approved.sharedGids ?? [],
    });
  } catch (problem) {
    if (!(problem instanceof RangeError)) throw problem;
    throw refused(`the approval of ${approved.source} can't be carried out: ${problem.message}`);
  }
}

function open(
  source: string,
  mapping: IdMapping,
  kind: Pick<PermittedBind, 'readOnly' | 'ofHost'>,
): PermittedBind {
  let descriptor: number;
  try {
    descriptor = openResolved(source, { resolve: resolveFlag.noSymlinks | resolveFlag.noMagicLinks });
  } catch (problem) {
    if (!(problem instanceof SystemCallError)) throw problem;
    throw refused(
      problem.code === 'ELOOP'
        ? `there is a symbolic link on the way to ${source}`
        : `${source} can't be opened (${problem.code})`,
    );
  }
  return { descriptor, source, directory: fstatSync(descriptor).isDirectory(), mapping, ...kind };
}

/** The engine's own places are shared by all containers: this one may have only what is its own there. */
function requireOwn(managed: ManagedSource, mount: SpecificationMount, context: BindContext): void {
  const source = mount.source ?? '';
  switch (managed.kind) {
    case 'container-file':
      if (managed.containerId !== context.record.id && !context.joined.includes(managed.containerId)) {
        throw refused(`${source} belongs to another container`);
      }
      return;
    case 'volume':
      requireEngineVolume(`${context.layout.dataRoot}/volumes/${managed.name}/_data`, mount, context);
      return;
    case 'volume-subpath':
      requireVolumeSubpath(source, mount, context);
      return;
    case 'build':
      return;
  }
}

/** Filesystems that a volume's options can put at its folder without showing anything of the host's files. */
const remoteFilesystems = new Set(['tmpfs', 'nfs', 'nfs4', 'cifs', 'smb3', 'ceph']);

function requireEngineVolume(folder: string, mount: SpecificationMount, context: BindContext): void {
  const mounted = context.mountTable.at(folder);
  if (mounted === undefined || remoteFilesystems.has(mounted.type)) return;
  throw refused(
    `the volume at ${mount.destination} shows ${mounted.root} of ${mounted.source}, which was not approved for this container`,
  );
}

/** The engine binds a volume's subfolder aside; what it bound must lie in its own folder of volumes. */
function requireVolumeSubpath(source: string, mount: SpecificationMount, context: BindContext): void {
  const bound = context.mountTable.at(source);
  const holder = context.mountTable.containing(context.layout.dataRoot);
  if (bound !== undefined && holder !== undefined) {
    const inside = context.layout.dataRoot.slice(holder.mountPoint === '/' ? 0 : holder.mountPoint.length);
    const volumes = `${holder.root === '/' ? '' : holder.root}${inside}/volumes/`;
    if (bound.device === holder.device && /^[^/]+\/_data\/./.test(bound.root.slice(volumes.length))) {
      if (bound.root.startsWith(volumes)) return;
    }
    if (remoteFilesystems.has(bound.type)) return;
  }
  throw refused(`the volume's subfolder at ${mount.destination} was not approved for this container`);
}

/**
 * `docker run --init` binds the engine's own init program at a fixed place, and starts it. It is a program that
 * everybody may read and run and only root may write; nothing else is taken for it.
 * @returns the program's resolved path
 */
function initProgram(mount: SpecificationMount, context: BindContext): string | undefined {
  if (mount.destination !== '/sbin/docker-init' || context.processArguments[0] !== mount.destination) {
    return undefined;
  }
  if (mount.options?.includes('ro') !== true || mount.source === undefined) return undefined;
  let path: string;
  let status: Stats;
  try {
    path = realpathSync(mount.source);
    status = statSync(path);
  } catch {
    return undefined;
  }
  const everybody = constants.S_IROTH | constants.S_IXOTH;
  const writable = constants.S_IWGRP | constants.S_IWOTH | 0o6000;
  const usable = status.isFile() && status.uid === 0 && (status.mode & everybody) === everybody;
  return usable && (status.mode & writable) === 0 ? path : undefined;
}
