/**
 * Places of the host that no container may reach, whoever asks: what steers the host or the engine, and our own
 * state. A source is restricted when it is such a place, lies in one, or holds one, under any name that leads there:
 * by its path, by another mount of the same folder, or by the same inode. It says what is restricted and why; which
 * answer the client gets is the rules' part.
 */
import { lstatSync, realpathSync } from 'node:fs';
import type { Settings } from '../settings/schema.js';
import { type MountEntry, MountTable } from '../system/mount-table.js';
import type { Found } from './reach.js';

/** Where this installation and its engine keep their own. */
export interface OwnPlaces {
  readonly stateDir: string;
  readonly runDir: string;
  /** Sockets that cofferdam listens on. */
  readonly listen: readonly string[];
  readonly engineSocket: string;
  /** `DockerRootDir` of GET /info. */
  readonly dataRoot: string;
  /** Where dockerd and its containerd keep their sockets and bundles; absent when it is the usual place. */
  readonly execRoot?: string;
}

interface Place {
  readonly path: string;
  /** For the administrator: what it is. */
  readonly what: string;
}

/** Programs that make containers for whoever can write to their socket. */
const engineSockets: readonly Place[] = [
  { path: '/run/docker.sock', what: 'Docker’s socket' },
  { path: '/run/containerd/containerd.sock', what: 'containerd’s socket' },
  { path: '/run/podman/podman.sock', what: 'Podman’s socket' },
  { path: '/run/crio/crio.sock', what: 'CRI-O’s socket' },
  { path: '/run/buildkit/buildkitd.sock', what: 'BuildKit’s socket' },
];

const hostFolders: readonly Place[] = [
  { path: '/proc', what: 'the kernel’s files' },
  { path: '/sys', what: 'the kernel’s files' },
  { path: '/dev', what: 'the host’s devices' },
  { path: '/var/lib/docker', what: 'an engine’s data' },
  { path: '/var/lib/containerd', what: 'an engine’s data' },
  { path: '/var/snap/docker', what: 'an engine’s data' },
  { path: '/etc/docker', what: 'the engine’s configuration' },
  { path: '/etc/containerd', what: 'the engine’s configuration' },
  { path: '/etc/cofferdam', what: 'cofferdam’s settings' },
];

const runtimeFolder: Place = { path: '/run', what: 'the sockets of the host’s services' };

/** File systems through which the kernel itself is read and steered, wherever they are mounted. */
const kernelFilesystems = new Set([
  'autofs',
  'binfmt_misc',
  'bpf',
  'cgroup',
  'cgroup2',
  'configfs',
  'debugfs',
  'devpts',
  'devtmpfs',
  'efivarfs',
  'fusectl',
  'mqueue',
  'nsfs',
  'proc',
  'pstore',
  'rpc_pipefs',
  'securityfs',
  'sysfs',
  'tracefs',
]);

/** Where something is on its file system, whichever mount leads there. */
interface Location {
  readonly device: string;
  readonly path: string;
}

function within(path: string, folder: string): boolean {
  return path === folder || folder === '/' || path.startsWith(`${folder}/`);
}

function locationOf(path: string, mount: MountEntry | undefined): Location | undefined {
  if (!mount) return undefined;
  const rest = mount.mountPoint === '/' ? path : path.slice(mount.mountPoint.length);
  const root = mount.root === '/' ? '' : mount.root;
  return { device: mount.device, path: root + rest || '/' };
}

/** The path with links resolved as far as it exists: a place may be a link, as /var/run is. */
function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/**
 * Says why a source is restricted.
 * @param real the resolved path, or the path itself where it leads nowhere yet
 * @param found what is there; absent for a path that leads nowhere
 * @returns undefined when it isn't
 */
export function restriction(
  real: string,
  found: Found | undefined,
  own: OwnPlaces,
  settings: Settings['hostFiles'],
  table: MountTable = MountTable.read(),
): string | undefined {
  const mount = table.containing(real);
  if (mount && kernelFilesystems.has(mount.type))
    return `it lies in a ${mount.type} file system of the kernel`;
  const sockets = socketPlaces(own);
  if (found?.type === 'socket') {
    const same = sockets.find(({ path }) => isSameFile(path, found));
    if (same) return `it is ${same.what}`;
  }
  const here = locationOf(real, mount);
  const below = table.below(real);
  for (const place of [...sockets, ...folderPlaces(real, own, settings)]) {
    const why = relation(real, here, below, place, table);
    if (why) return why;
  }
  const kernel = below.find(({ type }) => kernelFilesystems.has(type));
  return kernel && `it contains ${kernel.mountPoint}, a ${kernel.type} file system of the kernel`;
}

function socketPlaces(own: OwnPlaces): readonly Place[] {
  return [
    { path: own.engineSocket, what: 'the engine’s socket' },
    ...own.listen.map((path) => ({ path, what: 'cofferdam’s socket' })),
    ...engineSockets,
  ];
}

function folderPlaces(real: string, own: OwnPlaces, settings: Settings['hostFiles']): readonly Place[] {
  const allowed = settings.allow.some((path) => within(real, resolved(path)));
  return [
    { path: own.stateDir, what: 'cofferdam’s state' },
    { path: own.runDir, what: 'cofferdam’s state' },
    { path: own.dataRoot, what: 'the engine’s data' },
    ...(own.execRoot === undefined ? [] : [{ path: own.execRoot, what: 'the engine’s state' }]),
    ...settings.deny.map((path) => ({ path, what: 'denied by the setting hostFiles.deny' })),
    ...hostFolders,
    ...(allowed ? [] : [runtimeFolder]),
  ];
}

function isSameFile(path: string, found: Found): boolean {
  const status = lstatSync(resolved(path), { bigint: true, throwIfNoEntry: false });
  return status !== undefined && status.dev === found.device && status.ino === found.inode;
}

/** How the source and a place are to each other, by name and by what is mounted where. */
function relation(
  real: string,
  here: Location | undefined,
  below: readonly MountEntry[],
  place: Place,
  table: MountTable,
): string | undefined {
  const path = resolved(place.path);
  if (within(real, path)) return `it lies in ${place.path} (${place.what})`;
  if (within(path, real)) return `it contains ${place.path} (${place.what})`;
  const there = locationOf(path, table.containing(path));
  if (!there || there.path === '/') return undefined;
  if (here?.device === there.device) {
    if (within(here.path, there.path))
      return `it is another name for something in ${place.path} (${place.what})`;
    if (within(there.path, here.path))
      return `it is another name for a folder with ${place.path} (${place.what})`;
  }
  const hidden = below.find(
    ({ device, root }) => device === there.device && (within(root, there.path) || within(there.path, root)),
  );
  return (
    hidden && `it contains ${hidden.mountPoint}, another name for something of ${place.path} (${place.what})`
  );
}
