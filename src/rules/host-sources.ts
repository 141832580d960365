/**
 * Every host path that a request brings into a container, by whatever way: a bind, a volume that is one, the mounts of
 * another container. What this list misses can't be approved, and the runtime then refuses the mount.
 */
import { posix } from 'node:path';
import { containerReferences } from './container-references.js';
import { bindDevice, volumeKind } from './local-volumes.js';
import { type MountWish, mountList, optionsAt } from './mount-wishes.js';
import type { Facts, JudgedRequest, MountFacts, Need } from './rule.js';

export interface HostSource {
  readonly field: string;
  readonly way: 'bind' | 'volume' | 'inherited' | 'volume-create';
  /** The host path as the engine will use it, cleaned but not resolved. */
  readonly path: string;
  /** Path inside the container; empty while only a volume is made. */
  readonly destination: string;
  readonly readOnly: boolean;
  readonly words: readonly string[];
  /** True when the engine would make a missing source as a folder owned by root. */
  readonly createsSource: boolean;
  /** True when mounts below the source stay out, so that what they cover would show. */
  readonly uncovers?: boolean;
}

/** Facts to be looked up first: what the request itself names. */
export function sourceNeeds(request: JudgedRequest): readonly Need[] {
  if (request.route.name === 'volume.create') return volumeCreateNeeds(request);
  const wishes = mountList(request).wishes;
  return [
    ...wishes.flatMap(({ kind, source }): Need[] => {
      if (kind === 'host') return [{ kind: 'path', path: source }];
      return kind === 'volume' && source !== '' ? [{ kind: 'volume', name: source }] : [];
    }),
    ...wishes.flatMap(({ options }) => pathNeed(bindDevice(options))),
    ...volumesFrom(request).map(({ reference }): Need => ({ kind: 'container', ref: reference })),
  ];
}

/** Facts that follow: the volumes of other containers, and the host paths behind volumes and mounts. */
export function furtherSourceNeeds(request: JudgedRequest, facts: Facts): readonly Need[] {
  const volumes = inheritedMounts(request, facts).flatMap(({ mount }): Need[] =>
    mount.type === 'volume' && mount.name !== undefined ? [{ kind: 'volume', name: mount.name }] : [],
  );
  return [...volumes, ...hostSources(request, facts).flatMap(({ path }) => pathNeed(path))];
}

/** The host paths of the request. */
export function hostSources(request: JudgedRequest, facts: Facts): readonly HostSource[] {
  if (request.route.name === 'volume.create') return volumeCreateSources(request, facts);
  return [
    ...mountList(request).wishes.flatMap((wish) => wishSources(wish, facts)),
    ...inheritedMounts(request, facts).flatMap((inherited) => inheritedSources(inherited, facts)),
  ];
}

function wishSources(wish: MountWish, facts: Facts): readonly HostSource[] {
  const { field, destination, readOnly, words, createsSource } = wish;
  if (wish.kind === 'host') {
    const uncovers = wish.uncovers === true;
    return [{ field, way: 'bind', path: wish.source, destination, readOnly, words, createsSource, uncovers }];
  }
  if (wish.kind !== 'volume') return [];
  const existing = wish.source === '' ? undefined : facts.volume(wish.source);
  // A volume that exists keeps its own options, whatever the request says; a new one gets the request's.
  const kind = volumeKind(existing?.options ?? wish.options);
  if (kind.kind !== 'bind') return [];
  const common = {
    field,
    way: 'volume' as const,
    path: posix.resolve(kind.device, posix.resolve('/', wish.subpath ?? '').slice(1)),
    destination,
    words,
    createsSource: false,
  };
  return [{ ...common, readOnly: readOnly || kind.readOnly }];
}

interface Inherited {
  readonly field: string;
  readonly readOnly: boolean;
  readonly mount: MountFacts;
}

function volumesFrom(request: JudgedRequest) {
  if (request.route.name !== 'container.create') return [];
  return containerReferences(request).filter(
    ({ purpose, reference }) => purpose === 'volumes' && reference !== '',
  );
}

function inheritedMounts(request: JudgedRequest, facts: Facts): readonly Inherited[] {
  return volumesFrom(request).flatMap(({ field, reference, rewritten }) => {
    const readOnly = rewritten('').slice(1).split(',').includes('ro');
    const mounts = facts.container(reference)?.mounts ?? [];
    return mounts.map((mount) => ({ field, readOnly: readOnly || !mount.writable, mount }));
  });
}

function inheritedSources({ field, readOnly, mount }: Inherited, facts: Facts): readonly HostSource[] {
  const volume = mount.type === 'volume' && mount.name !== undefined ? facts.volume(mount.name) : undefined;
  const kind = volume && volumeKind(volume.options);
  const path = mount.type === 'bind' ? mount.source : kind?.kind === 'bind' ? kind.device : undefined;
  if (path === undefined) return [];
  const onlyRead = readOnly || (kind?.kind === 'bind' && kind.readOnly);
  const { destination } = mount;
  const createsSource = mount.type === 'bind';
  return [{ field, way: 'inherited', path, destination, readOnly: onlyRead, words: [], createsSource }];
}

function volumeCreateNeeds(request: JudgedRequest): readonly Need[] {
  const name = request.body?.['Name'];
  const device = bindDevice(optionsAt(request, '/DriverOpts'));
  const named: Need[] = typeof name === 'string' && name !== '' ? [{ kind: 'volume', name }] : [];
  return [...named, ...pathNeed(device)];
}

/** Making a volume whose name exists gives the existing one (moby daemon/volume/service): that one is judged too. */
function volumeCreateSources(request: JudgedRequest, facts: Facts): readonly HostSource[] {
  const name = request.body?.['Name'];
  const existing = typeof name === 'string' && name !== '' ? facts.volume(name) : undefined;
  const wanted = bindDevice(optionsAt(request, '/DriverOpts'));
  const found = existing && bindDevice(existing.options);
  return [
    { field: '/DriverOpts/device', path: wanted },
    { field: '/Name', path: found },
  ].flatMap(({ field, path }) => {
    if (path === undefined) return [];
    const common = {
      way: 'volume-create' as const,
      destination: '',
      readOnly: false,
      words: [],
      createsSource: false,
    };
    return [{ ...common, field, path }];
  });
}

function pathNeed(path: string | undefined): readonly Need[] {
  return path === undefined ? [] : [{ kind: 'path', path }];
}
