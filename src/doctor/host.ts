/**
 * What the kernel and the host must have: user namespaces, idmapped mounts on the file systems in use, cgroups, and
 * a program that starts containers. Everything is tried, nothing is changed.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { detectBackend } from '../runtime/backend.js';
import { wholeRange } from '../runtime/id-mapping.js';
import { shiftTree } from '../runtime/shift.js';
import { UserNamespaces } from '../runtime/user-namespaces.js';
import { MountTable } from '../system/mount-table.js';
import { cloneTree, closeTree } from '../system/mounts.js';
import { closeNamespace } from '../system/namespaces.js';
import { bad, type Check, guarded, ok } from './check.js';

/** Idmapped layers of an overlay came with it. */
const oldestKernel: readonly [number, number] = [5, 19];
/** A mapping to try with: the first range of the pool, which nothing needs to own. */
const probeRange = { base: 100_000, size: 65_536 };

function kernel(): Check {
  const version = release();
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantedMajor, wantedMinor] = oldestKernel;
  const enough = major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  return enough
    ? ok('kernel', `Linux ${version}`)
    : bad('kernel', `Linux ${version} is older than ${wantedMajor}.${wantedMinor}`, 'boot a newer kernel');
}

function userNamespaces(): Check {
  const limit = Number(readFileSync('/proc/sys/user/max_user_namespaces', 'utf8'));
  return limit > 0
    ? ok('user namespaces', `up to ${limit}`)
    : bad('user namespaces', 'switched off on this host', 'sysctl user.max_user_namespaces=65536');
}

function cgroups(): Check {
  if (existsSync('/sys/fs/cgroup/cgroup.controllers')) return ok('cgroups', 'version 2');
  if (existsSync('/sys/fs/cgroup/memory')) return ok('cgroups', 'version 1');
  return bad('cgroups', 'not mounted at /sys/fs/cgroup', 'mount them as your distribution does');
}

function backend(searchPath: string | undefined): Check {
  const found = detectBackend(searchPath === undefined ? {} : { path: searchPath });
  return ok('backend', `${found.version} at ${found.binary}: ${found.reason}`);
}

/** Tries an idmapped clone of a folder, as the runtime makes one of each image layer. */
async function idmappedMount(folder: string): Promise<Check> {
  const name = `shifted owners on ${folder}`;
  const type = MountTable.read().containing(folder)?.type ?? 'unknown';
  const namespaces = new UserNamespaces(0);
  const namespace = await namespaces.make(wholeRange(probeRange));
  try {
    const tree = cloneTree(folder, { recursive: false });
    try {
      shiftTree(tree, { userNamespace: namespace.descriptor, recursive: false, propagation: 'private' });
    } finally {
      closeTree(tree);
    }
  } finally {
    closeNamespace(namespace);
    namespaces.close();
  }
  return ok(name, `the kernel shifts owners on ${type}`);
}

/** Everything about the host. `folders` are those whose file systems containers live on. */
export async function examineHost(
  folders: readonly string[],
  searchPath: string | undefined,
): Promise<Check[]> {
  const present = [...new Set(folders)].filter((folder) =>
    statSync(folder, { throwIfNoEntry: false })?.isDirectory(),
  );
  return Promise.all([
    guarded('kernel', 'boot a newer kernel', kernel),
    guarded('user namespaces', 'use a kernel with user namespaces', userNamespaces),
    guarded('cgroups', 'mount them as your distribution does', cgroups),
    guarded('backend', 'install runc 1.1.5 or later, or Sysbox', () => backend(searchPath)),
    ...present.map((folder) =>
      guarded(`shifted owners on ${folder}`, 'use ext4, xfs, btrfs or tmpfs there', () =>
        idmappedMount(folder),
      ),
    ),
  ]);
}
