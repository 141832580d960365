/**
 * The rule `volume-drivers`: volumes are the engine's own folders, host paths within the caller's reach, or file
 * systems that the settings allow. The `local` driver mounts whatever its options say, as host root; other drivers are
 * programs that run as root.
 */
import { findingsOf } from './finding.js';
import { furtherSourceNeeds, sourceNeeds } from './host-sources.js';
import { membersAt, textAt, valueAt } from './json-pointer.js';
import { type VolumeOptions, volumeKind } from './local-volumes.js';
import { type MountWish, mountList, optionsAt } from './mount-wishes.js';
import type { Denial, Facts, JudgedRequest, Rule, VolumeFacts } from './rule.js';

const setting = 'volumes.types';
const { deny } = findingsOf('volume-drivers', setting);

/** The driver of all volumes that have none of their own, those of the image's `VOLUME` too. */
const anonymousDriver = '/HostConfig/VolumeDriver';

export const volumeDrivers: Rule = {
  id: 'volume-drivers',
  summary:
    'Only the `local` volume driver is served, and of its options only binds (judged by `host-mounts`), sizes and the listed file system types; a volume that exists is judged by the options it has.',
  setting,
  whenIsolationIsOff: 'rests',
  routes: ['container.create', 'volume.create', 'service.create', 'service.update'],
  needs: sourceNeeds,
  furtherNeeds: furtherSourceNeeds,
  judge: (request, facts) =>
    request.route.name === 'volume.create'
      ? judgeVolumeCreate(request, facts)
      : [
          ...judgeDriver(anonymousDriver, textAt(request.body, anonymousDriver)),
          ...mountList(request).wishes.flatMap((wish) => judgeWish(request, wish, facts)),
        ],
};

function judgeVolumeCreate(request: JudgedRequest, facts: Facts): readonly Denial[] {
  const name = textAt(request.body, '/Name');
  const cluster = membersAt(request.body, '/ClusterVolumeSpec').length > 0;
  return [
    ...judgeDriver('/Driver', textAt(request.body, '/Driver')),
    ...judgeOptions(request, '/DriverOpts', optionsAt(request, '/DriverOpts')),
    ...judgeExisting(request, '/Name', name === '' ? undefined : facts.volume(name)),
    ...(cluster ? [deny('/ClusterVolumeSpec', 'cluster volumes are refused', 'Use a local volume.')] : []),
  ];
}

function judgeWish(request: JudgedRequest, wish: MountWish, facts: Facts): readonly Denial[] {
  if (wish.kind !== 'volume') return [];
  const config = `${wish.field}/VolumeOptions/DriverConfig`;
  const inline = valueAt(request.body, config) !== undefined;
  return [
    ...(inline ? judgeDriver(`${config}/Name`, wish.driver) : []),
    ...judgeOptions(request, `${config}/Options`, wish.options),
    ...judgeExisting(request, wish.field, wish.source === '' ? undefined : facts.volume(wish.source)),
  ];
}

function judgeDriver(field: string, driver: string): readonly Denial[] {
  if (driver === '' || driver === 'local') return [];
  return [
    deny(
      field,
      `the volume driver ${driver} is refused: drivers other than local run as root on the host`,
      'Use the local driver.',
    ),
  ];
}

function judgeOptions(request: JudgedRequest, field: string, options: VolumeOptions): readonly Denial[] {
  const kind = volumeKind(options);
  if (kind.kind === 'unclear')
    return [deny(field, kind.reason, 'Use type, device, o and size as for a bind.')];
  if (kind.kind !== 'filesystem' || request.settings.volumes.types.includes(kind.type)) return [];
  return [
    deny(
      field,
      `volumes of the file system type ${kind.type} are refused: the engine would mount them as host root`,
      'Use a plain volume, or let the administrator list the type.',
    ),
  ];
}

function judgeExisting(
  request: JudgedRequest,
  field: string,
  volume: VolumeFacts | undefined,
): readonly Denial[] {
  if (volume === undefined) return [];
  return [...judgeDriver(field, volume.driver), ...judgeOptions(request, field, volume.options)];
}
