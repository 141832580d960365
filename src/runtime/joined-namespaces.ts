/**
 * A container that joins another one's network, pid or ipc namespace joins its user namespace as well: the kernel
 * lets nobody else mount /sys or /proc for it. That is only ever the namespace of another isolated container: one
 * that belongs to the host, or to two different containers, is refused.
 */
import { closeSync } from 'node:fs';
import {
  closeNamespace,
  type IdExtent,
  namespaceInode,
  type OpenNamespace,
  openNamespace,
  owningUserNamespace,
  readIdMap,
} from '../system/namespaces.js';
import type { ContainerRecord } from '../uid-allocator/record.js';
import { rangeOfMap } from './id-mapping.js';
import { refused } from './refusal.js';
import type { Specification, SpecificationNamespace } from './specification.js';

/** The container that is joined, and where its user namespace is found. */
export interface JoinedContainer {
  readonly record: ContainerRecord;
  readonly userNamespacePath: string;
}

/** Finds the container whose namespaces a specification names by path; `undefined` when it names none. */
export function joinedContainer(
  specification: Specification,
  records: () => readonly ContainerRecord[],
): JoinedContainer | undefined {
  const named = specification.linux.namespaces.filter(
    (namespace): namespace is SpecificationNamespace & { path: string } =>
      namespace.path !== undefined && namespace.path !== '',
  );
  let joined: { pid: number; inode: bigint; kind: string } | undefined;
  for (const namespace of named) {
    const owner = ownerOf(namespace);
    if (joined !== undefined && joined.inode !== owner.inode) {
      throw refused(
        `the ${joined.kind} and the ${namespace.type} namespace of two different containers can't be joined at once`,
      );
    }
    joined = { ...owner, kind: namespace.type };
  }
  if (joined === undefined) return undefined;
  const range = rangeOfProcess(joined.pid);
  const record = range && records().find((entry) => entry.range.base === range.base);
  if (record === undefined || record.range.size !== range?.size) {
    throw refused(
      `the container whose ${joined.kind} namespace is to be joined has no range of its own; start it again so that it is isolated`,
    );
  }
  return { record, userNamespacePath: `/proc/${joined.pid}/ns/user` };
}

/** The user namespace that owns a namespace, and a process in it. */
function ownerOf(namespace: SpecificationNamespace & { path: string }): { pid: number; inode: bigint } {
  const pid = Number(/^\/proc\/(\d+)\/ns\/\w+$/.exec(namespace.path)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(pid)) {
    throw refused(`the ${namespace.type} namespace ${namespace.path} belongs to no container`);
  }
  let opened: OpenNamespace;
  try {
    opened = openNamespace(namespace.path);
  } catch {
    throw refused(`the container whose ${namespace.type} namespace is to be joined is not running any more`);
  }
  try {
    const owner = owningUserNamespace(opened, namespace.path);
    closeSync(owner.descriptor);
    if (owner.inode === namespaceInode('self', 'user')) {
      throw refused(
        `sysbox containers can't share namespaces [${namespace.type}] with a container that isn't isolated`,
      );
    }
    if (owner.inode !== namespaceInode(pid, 'user')) {
      throw refused(`the ${namespace.type} namespace of process ${pid} isn't its container's own`);
    }
    return { pid, inode: owner.inode };
  } finally {
    closeNamespace(opened);
  }
}

function rangeOfProcess(pid: number): { base: number; size: number } | undefined {
  const [uid, gid] = [mapOf(pid, 'uid_map'), mapOf(pid, 'gid_map')];
  return uid !== undefined && gid !== undefined && uid.base === gid.base && uid.size === gid.size
    ? uid
    : undefined;
}

function mapOf(pid: number, kind: 'uid_map' | 'gid_map'): { base: number; size: number } | undefined {
  let extents: readonly IdExtent[];
  try {
    extents = readIdMap(pid, kind);
  } catch {
    return undefined;
  }
  return rangeOfMap(extents);
}
