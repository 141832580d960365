/** Mounts as containers and services describe them. Source: moby `api/types/mount`. */
import {
  boolean,
  emptyStruct,
  field,
  int64,
  integer,
  list,
  string,
  stringMap,
  strings,
  struct,
} from './field-types.js';

const driver = struct('Driver', { Name: string, Options: stringMap });

export const mount = struct('Mount', {
  Type: string,
  Source: string,
  Target: string,
  ReadOnly: boolean,
  Consistency: string,
  BindOptions: struct('BindOptions', {
    Propagation: string,
    NonRecursive: field(boolean, { since: '1.40' }),
    CreateMountpoint: field(boolean, { since: '1.42' }),
    ReadOnlyNonRecursive: field(boolean, { since: '1.44' }),
    ReadOnlyForceRecursive: field(boolean, { since: '1.44' }),
  }),
  VolumeOptions: struct('VolumeOptions', {
    NoCopy: boolean,
    Labels: stringMap,
    Subpath: field(string, { since: '1.45' }),
    DriverConfig: driver,
  }),
  ImageOptions: field(struct('ImageOptions', { Subpath: string }), { since: '1.48' }),
  TmpfsOptions: struct('TmpfsOptions', {
    SizeBytes: int64,
    Mode: integer('uint32'),
    Options: field(list(strings), { since: '1.46' }),
  }),
  ClusterOptions: field(emptyStruct, { since: '1.42' }),
});
