/**
 * Hands a container's own cgroup folder to its range, where the container sees it writable: for a Docker Engine or
 * systemd inside. Only the files that moving processes and making children need, never a limit: those stay
 * root's, or a container could raise its own.
 */
import { chownSync, existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { MountTable } from '../system/mount-table.js';
import type { Range } from '../uid-allocator/record.js';
import type { Specification } from './specification.js';

/** cgroups(7), "Delegation": what a delegatee must be able to write. */
const delegatedFiles = ['cgroup.procs', 'tasks', 'cgroup.threads', 'cgroup.subtree_control'];

/** True when the container sees a writable cgroup tree that is its own. */
export function wantsDelegation(specification: Specification): boolean {
  const own = specification.linux.namespaces.some(
    (namespace) => namespace.type === 'cgroup' && (namespace.path ?? '') === '',
  );
  const writable = (specification.mounts ?? []).some(
    (mount) =>
      (mount.type === 'cgroup' || mount.type === 'cgroup2') && mount.options?.includes('ro') !== true,
  );
  return own && writable;
}

/**
 * Makes the folders before the backend does, in every hierarchy, and hands them over. The backend takes an empty
 * folder that is already there for the container's.
 * @returns the folders, for removing them when the container isn't made after all
 */
export function delegateCgroups(
  specification: Specification,
  systemdCgroup: boolean,
  range: Range,
  mountTable: MountTable,
): readonly string[] {
  const path = cgroupPath(specification.linux.cgroupsPath ?? '', systemdCgroup);
  if (path === undefined) return [];
  const folders: string[] = [];
  for (const entry of mountTable.entries) {
    // Only whole hierarchies where engines look for them; a container's own view of one is not ours to touch.
    if (!['cgroup', 'cgroup2'].includes(entry.type) || entry.root !== '/') continue;
    if (!/^\/sys\/fs\/cgroup(?:\/[\w,=.-]+)?$/.test(entry.mountPoint)) continue;
    // The unified hierarchy beside version 1 has no controllers, and backends make nothing there.
    if (entry.type === 'cgroup2' && entry.mountPoint !== '/sys/fs/cgroup') continue;
    // There systemd makes the folder itself and the backend hands it over (runc 1.1 and later).
    if (entry.type === 'cgroup2' && systemdCgroup) continue;
    const folder = join(entry.mountPoint, path);
    mkdirSync(folder, { recursive: true });
    chownSync(folder, range.base, range.base);
    for (const file of delegatedFiles) {
      if (existsSync(join(folder, file))) chownSync(join(folder, file), range.base, range.base);
    }
    folders.push(folder);
  }
  return folders;
}

/** Removes folders that nobody is in; the ones that are in use stay. */
export function removeEmpty(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      rmdirSync(folder);
    } catch {
      // In use, or gone: both are as they should be.
    }
  }
}

/** The folder below each hierarchy's root. @returns undefined when the backend chooses one by itself */
function cgroupPath(written: string, systemdCgroup: boolean): string | undefined {
  if (!systemdCgroup) {
    return written.startsWith('/') && !written.split('/').includes('..') ? written : undefined;
  }
  // `slice:prefix:name` (runc, docs/systemd.md): a scope in a slice whose name holds the names of its parents.
  const [slice = '', prefix, name, ...others] = written.split(':');
  if (prefix === undefined || name === undefined || others.length > 0) return undefined;
  const parts = (slice || 'system.slice').replace(/\.slice$/, '').split('-');
  if (!parts.every((part) => /^\w+$/.test(part)) || !/^[\w.-]+$/.test(name)) return undefined;
  const parents = parts.map((_, end) => `${parts.slice(0, end + 1).join('-')}.slice`);
  return `/${parents.join('/')}/${prefix === '' ? '' : `${prefix}-`}${name}.scope`;
}
