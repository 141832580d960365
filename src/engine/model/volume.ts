/** Bodies of the volume endpoints. Source: moby `api/types/volume`. */
import { emptyStruct, field, int64, list, string, stringMap, strings, struct } from './field-types.js';

const topology = struct('Topology', { Segments: stringMap });

const clusterVolumeSpec = struct('ClusterVolumeSpec', {
  Group: string,
  AccessMode: struct('AccessMode', {
    Scope: string,
    Sharing: string,
    MountVolume: struct('TypeMount', { FsType: string, MountFlags: strings }),
    BlockVolume: emptyStruct,
  }),
  AccessibilityRequirements: struct('TopologyRequirement', {
    Requisite: list(topology),
    Preferred: list(topology),
  }),
  CapacityRange: struct('CapacityRange', { RequiredBytes: int64, LimitBytes: int64 }),
  Secrets: list(struct('Secret', { Key: string, Secret: string })),
  Availability: string,
});

export const volumeCreate = struct('CreateOptions', {
  Name: string,
  Driver: string,
  DriverOpts: stringMap,
  Labels: stringMap,
  ClusterVolumeSpec: field(clusterVolumeSpec, { since: '1.42' }),
});

export const volumeUpdate = struct('UpdateOptions', { Spec: clusterVolumeSpec });
