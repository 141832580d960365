/**
 * The rule `host-mounts`: what of the host may be mounted. A source must be within the caller's own reach and outside
 * of everything that steers the host or the engine; the mount then carries the caller's own rights (docs/identity.md).
 * An engine's socket itself is the rule `socket-mounts`.
 */
import { isRootCaller } from './callers.js';
import { findingsOf, isolationSetting } from './finding.js';
import { furtherSourceNeeds, type HostSource, hostSources, sourceNeeds } from './host-sources.js';
import { textAt } from './json-pointer.js';
import { bindDevice } from './local-volumes.js';
import { mountList, optionsAt } from './mount-wishes.js';
import type { Denial, Facts, Finding, JudgedRequest, Need, PathFacts, Rule } from './rule.js';
import { isEngineSocket } from './socket-mounts.js';

const { deny, set } = findingsOf('host-mounts', 'hostFiles');

/** Folders that Sysbox prepares by changing the owners of what is bound there (sysbox-runc, sysMgrSetupMounts). */
const preparedFolders = [
  '/var/lib/docker',
  '/var/lib/kubelet',
  '/var/lib/k0s',
  '/var/lib/rancher/k3s',
  '/var/lib/rancher/rke2',
  '/var/lib/buildkit',
  '/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs',
];

export const hostMounts: Rule = {
  id: 'host-mounts',
  summary:
    'Host paths within the caller’s own reach are mounted with the caller’s rights, whichever field names them; restricted paths, their parents, paths beyond the caller’s reach and mounts that propagate to the host are refused. Image content is never copied into a host folder.',
  setting: 'hostFiles',
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'volume.create', 'service.create', 'service.update'],
  needs: (request) => [
    ...sourceNeeds(request),
    ...imageNeed(request),
    ...(folderVolumes(request).length > 0 ? [{ kind: 'swarm' } satisfies Need] : []),
  ],
  furtherNeeds: furtherSourceNeeds,
  judge: (request, facts) => [
    ...mountList(request).unclear.map(({ field, problem }) =>
      deny(field, problem, 'Mend the mount.', { status: 400 }),
    ),
    ...judgeInSwarm(request, facts),
    ...hostSources(request, facts)
      .filter((source) => !isEngineSocket(source, facts))
      .flatMap((source) => judgeSource(request, source, facts)),
  ],
};

/** Fields by which the request would make a named volume of a host folder. */
function folderVolumes(request: JudgedRequest): readonly string[] {
  if (isRootCaller(request.caller)) return [];
  if (request.route.name === 'volume.create') {
    const named = textAt(request.body, '/Name') !== '';
    return named && bindDevice(optionsAt(request, '/DriverOpts')) !== undefined ? ['/DriverOpts'] : [];
  }
  if (request.route.name !== 'container.create') return [];
  return mountList(request)
    .wishes.filter(({ source, options }) => source !== '' && bindDevice(options) !== undefined)
    .map(({ field }) => field);
}

/**
 * A service's task is a container that the engine makes whenever it likes, with whatever the volume's name then means:
 * it would copy the image's content into the folder, and no request here could keep it from that.
 */
function judgeInSwarm(request: JudgedRequest, facts: Facts): readonly Finding[] {
  const folders = folderVolumes(request);
  if (folders.length === 0 || facts.inSwarm === false) return [];
  return folders.map((field) =>
    deny(
      field,
      "a volume can't be a folder of the host while the engine is in a swarm: a service's task could fill it as root",
      'Bind the folder itself, or use a plain volume.',
    ),
  );
}

/** The approvals say as which user the container runs: where the request doesn't, the image does. */
function imageNeed(request: JudgedRequest): readonly Need[] {
  const ref = textAt(request.body, '/Image');
  if (request.route.name !== 'container.create' || ref === '') return [];
  return textAt(request.body, '/User') === '' ? [{ kind: 'image', ref }] : [];
}

function judgeSource(request: JudgedRequest, source: HostSource, facts: Facts): readonly Finding[] {
  const refusal =
    refuseService(request, source) ??
    refusePath(request, source, facts.path(source.path)) ??
    refuseManner(request, source, facts.path(source.path));
  if (refusal !== undefined) return [refusal];
  return source.way === 'volume' ? preventCopy(request, source) : [];
}

/** A task runs wherever the swarm likes, without the caller: there are no rights that its mount could carry. */
function refuseService(request: JudgedRequest, { field, path }: HostSource): Denial | undefined {
  if (!request.route.name.startsWith('service.')) return undefined;
  return deny(field, `a service can't mount ${path} of the host`, 'Use a volume, a config or a secret.');
}

function refusePath(
  request: JudgedRequest,
  { field, path, way, createsSource }: HostSource,
  facts: PathFacts | undefined,
): Denial | undefined {
  const found = facts ?? { refusedAt: 'unknown' };
  if (found.restricted !== undefined) return restricted(field, path, found.restricted);
  if (found.refusedAt !== undefined) {
    return deny(
      field,
      `${path} is out of the caller's reach (uid ${request.caller.uid}): ${found.refusedAt}`,
      'Mount a path that you can reach yourself.',
    );
  }
  if (found.real === undefined && !createsSource && way !== 'volume-create') {
    const text = `invalid mount config for type "bind": bind source path does not exist: ${path}`;
    return deny(field, text, 'Make the folder first.', { status: 400, text });
  }
  if (found.type === 'block' || found.type === 'character') {
    return deny(field, `${path} is a device`, 'Use --device for single devices.');
  }
  if (isRootCaller(request.caller) && request.settings.hostFiles.rootCallers === 'deny') {
    return deny(
      field,
      'bind mounts of root callers are refused',
      'The setting hostFiles.rootCallers decides.',
    );
  }
  return undefined;
}

/** Docker Desktop's text, which names the path only. */
function restricted(field: string, path: string, place: string): Denial {
  return deny(
    field,
    `${path} is restricted: ${place}`,
    `Mount another path; the settings hostFiles.allow and ${isolationSetting} decide.`,
    {
      text: `failed to create shim task: OCI runtime create failed: error in the container spec: can't mount ${path} because it's configured as a restricted host mount: unknown`,
    },
  );
}

/** How the source would be mounted: what of it would change the host itself. */
function refuseManner(
  request: JudgedRequest,
  { field, path, destination, words, uncovers }: HostSource,
  facts: PathFacts | undefined,
): Denial | undefined {
  const { byMount, byUnbindable } = facts?.covered ?? {};
  const uncovered = uncovers === true ? byMount : byUnbindable;
  if (uncovered !== undefined && !isRootCaller(request.caller)) {
    const remedy = 'Mount it with the mounts below it, or mount another folder.';
    return deny(field, `${path} without ${uncovered} would show what that mount covers`, remedy);
  }
  const shared = words.find((word) => word === 'shared' || word === 'rshared');
  if (shared !== undefined) {
    const remedy = 'Use rslave: mounts of the host then appear in the container.';
    return deny(field, `the propagation ${shared} would carry mounts of the container to the host`, remedy);
  }
  const relabels = words.includes('z') || words.includes('Z');
  if (relabels && !isRootCaller(request.caller) && facts?.ownerUid !== request.caller.uid) {
    const remedy = 'Leave out z and Z, or own the folder.';
    return deny(field, `relabelling ${path} for SELinux is for its owner only`, remedy);
  }
  const prepared = preparedFolders.find((folder) => destination === folder);
  if (prepared === undefined) return undefined;
  return deny(field, `a host folder can't be mounted on ${prepared}`, 'Use a volume there.');
}

/**
 * The engine copies what the image has at the destination into an empty volume, as root and with the image's owners
 * (moby daemon/create_unix.go, populateVolume). Into a host folder that would be writing beyond the caller's rights.
 */
function preventCopy(request: JudgedRequest, { field, words }: HostSource): readonly Finding[] {
  if (words.includes('nocopy')) return [];
  const reason = 'the content of the image is not copied into a folder of the host';
  if (!field.startsWith('/HostConfig/Binds/')) return [set(`${field}/VolumeOptions/NoCopy`, true, reason)];
  const text = textAt(request.body, field);
  return [set(field, text + (text.split(':').length > 2 ? ',nocopy' : ':nocopy'), reason)];
}
