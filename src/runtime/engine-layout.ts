/**
 * Where a container engine keeps what it manages, told from the root folder of a bundle: users have no say in that
 * one. Below the engine's data-root, exactly these places may be mounted without an approval.
 */
import { RuntimeRefusal } from './refusal.js';

const containerId = '[0-9a-f]{64}';

/** The engine's storage drivers, each by its folder below the data-root (moby/daemon/graphdriver, daemon/containerd). */
const rootFolders = [
  /^(?<dataRoot>\/.+)\/overlay2\/[\w.-]+\/merged$/,
  new RegExp(`^(?<dataRoot>/.+)/rootfs/[\\w.-]+/${containerId}$`),
  /^(?<dataRoot>\/.+)\/vfs\/dir\/[\w.-]+$/,
  /^(?<dataRoot>\/.+)\/btrfs\/subvolumes\/[\w.-]+$/,
];
const buildRootFolder = /^(?<dataRoot>\/.+)\/buildkit\/executor\/[\w.-]+\/rootfs$/;

export interface EngineLayout {
  /** The engine's `--data-root`; it has no trailing slash. */
  readonly dataRoot: string;
  /** `build` for a RUN step of the engine's own BuildKit. */
  readonly kind: 'container' | 'build';
}

/**
 * @param rootPath `root.path` of the specification
 * @throws RuntimeRefusal COFFERDAM_RUNTIME_BUNDLE when no engine keeps a container's root there
 */
export function engineLayout(rootPath: string): EngineLayout {
  if (!rootPath.split('/').some((part) => part === '.' || part === '..')) {
    for (const pattern of rootFolders) {
      const dataRoot = pattern.exec(rootPath)?.groups?.['dataRoot'];
      if (dataRoot !== undefined) return { dataRoot, kind: 'container' };
    }
    const dataRoot = buildRootFolder.exec(rootPath)?.groups?.['dataRoot'];
    if (dataRoot !== undefined) return { dataRoot, kind: 'build' };
  }
  throw new RuntimeRefusal(
    'COFFERDAM_RUNTIME_BUNDLE',
    `cofferdam-runtime: ${rootPath} is no root folder that a Docker Engine makes`,
  );
}

/** What a mount's source is to the engine. */
export type ManagedSource =
  /** A file of the container's own folder: hosts, hostname, resolv.conf, secrets, configs, shared memory. */
  | { readonly kind: 'container-file'; readonly containerId: string }
  /** A named or anonymous volume's folder, or something in it. */
  | { readonly kind: 'volume'; readonly name: string }
  /** A folder of a volume that the engine bound aside, so that nobody can exchange it (volume-subpath). */
  | { readonly kind: 'volume-subpath' }
  /** A layer, cache, secret, socket or file of a build. */
  | { readonly kind: 'build' };

const volumeName = '[a-zA-Z0-9][a-zA-Z0-9_.-]*';
const containerPlaces: readonly (readonly [RegExp, (groups: readonly string[]) => ManagedSource])[] = [
  [
    new RegExp(
      `^/containers/(${containerId})/(?:hosts|hostname|resolv\\.conf|mounts/(?:shm|secrets(?:/[\\w.-]+)?))$`,
    ),
    ([id = '']) => ({ kind: 'container-file', containerId: id }),
  ],
  [new RegExp(`^/volumes/(${volumeName})/_data(?:/.*)?$`), ([name = '']) => ({ kind: 'volume', name })],
  [/^\/tmp\/safe-mount\d+$/, () => ({ kind: 'volume-subpath' })],
];
const buildPlaces = [
  /^\/buildkit\/executor\/(?:resolv(?:-host)?\.conf|hosts)(?:\.[\w.-]+)?$/,
  /^\/overlay2\/[\w.-]+\/(?:diff|merged)(?:\/.*)?$/,
  /^\/buildkit\/[\w.-]+\/cachemounts\/buildkit\d+(?:\/.*)?$/,
  /^\/vfs\/dir\/[\w.-]+(?:\/.*)?$/,
  /^\/containerd\/daemon\/io\.containerd\.snapshotter\.v1\.[\w.-]+\/snapshots\/\d+\/fs(?:\/.*)?$/,
  /^\/(?:tmp|buildkit)\/(?:buildkit(?:-mount|-secrets|-qemu-emulator)?|\.buildkit-ssh-sock)\d+(?:\/.*)?$/,
];

/** What the engine keeps at a path, or `undefined` when it is none of the engine's. */
export function managedSource(layout: EngineLayout, path: string): ManagedSource | undefined {
  if (!path.startsWith(`${layout.dataRoot}/`) || path.split('/').includes('..')) return undefined;
  const place = path.slice(layout.dataRoot.length);
  if (layout.kind === 'build') {
    return buildPlaces.some((pattern) => pattern.test(place)) ? { kind: 'build' } : undefined;
  }
  for (const [pattern, describe] of containerPlaces) {
    const found = pattern.exec(place);
    if (found !== null) return describe(found.slice(1));
  }
  return undefined;
}
