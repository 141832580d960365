/**
 * Bodies that describe containers: create, update, commit, exec, checkpoints. Source: moby `api/types/container`,
 * `api/types/blkiodev`, `runconfig`, v17.05 to v29. Version by version the engines decode every field that they know,
 * whatever API version the path names.
 */
import {
  boolean,
  duration,
  embed,
  emptyStruct,
  field,
  int64,
  integer,
  list,
  map,
  string,
  stringListOrString,
  stringMap,
  strings,
  struct,
} from './field-types.js';
import { mount } from './mount.js';
import { networkingConfig } from './network.js';

export const healthConfig = struct('HealthConfig', {
  Test: strings,
  Interval: duration,
  Timeout: duration,
  StartPeriod: field(duration, { since: '1.29' }),
  StartInterval: field(duration, { since: '1.44' }),
  Retries: integer('int'),
});

export const ulimit = struct('Ulimit', { Name: string, Hard: int64, Soft: int64 });

/** What an image's configuration and a container have in common. */
export const containerConfig = struct('Config', {
  Hostname: string,
  Domainname: string,
  User: string,
  AttachStdin: boolean,
  AttachStdout: boolean,
  AttachStderr: boolean,
  ExposedPorts: map(emptyStruct),
  Tty: boolean,
  OpenStdin: boolean,
  StdinOnce: boolean,
  Env: strings,
  Cmd: stringListOrString,
  Healthcheck: healthConfig,
  ArgsEscaped: boolean,
  Image: string,
  Volumes: map(emptyStruct),
  WorkingDir: string,
  Entrypoint: stringListOrString,
  NetworkDisabled: boolean,
  MacAddress: string,
  OnBuild: strings,
  Labels: stringMap,
  StopSignal: string,
  StopTimeout: integer('int'),
  Shell: stringListOrString,
});

const throttleDevices = list(struct('ThrottleDevice', { Path: string, Rate: integer('uint64') }));

/** Limits and devices: part of HostConfig, and the body of an update. */
export const resources = struct('Resources', {
  CpuShares: int64,
  Memory: int64,
  NanoCpus: int64,
  CgroupParent: string,
  BlkioWeight: integer('uint16'),
  BlkioWeightDevice: list(struct('WeightDevice', { Path: string, Weight: integer('uint16') })),
  BlkioDeviceReadBps: throttleDevices,
  BlkioDeviceWriteBps: throttleDevices,
  BlkioDeviceReadIOps: throttleDevices,
  BlkioDeviceWriteIOps: throttleDevices,
  CpuPeriod: int64,
  CpuQuota: int64,
  CpuRealtimePeriod: int64,
  CpuRealtimeRuntime: int64,
  CpusetCpus: string,
  CpusetMems: string,
  Devices: list(
    struct('DeviceMapping', { PathOnHost: string, PathInContainer: string, CgroupPermissions: string }),
  ),
  DeviceCgroupRules: strings,
  DeviceRequests: field(
    list(
      struct('DeviceRequest', {
        Driver: string,
        Count: integer('int'),
        DeviceIDs: strings,
        Capabilities: list(strings),
        Options: stringMap,
      }),
    ),
    { since: '1.40' },
  ),
  DiskQuota: field(int64, { retired: 'no engine of today reads it; use StorageOpt' }),
  KernelMemory: int64,
  KernelMemoryTCP: field(int64, { since: '1.40' }),
  MemoryReservation: int64,
  MemorySwap: int64,
  MemorySwappiness: int64,
  OomKillDisable: boolean,
  PidsLimit: int64,
  Ulimits: list(ulimit),
  CpuCount: int64,
  CpuPercent: int64,
  IOMaximumIOps: integer('uint64'),
  IOMaximumBandwidth: integer('uint64'),
});

const restartPolicy = struct('RestartPolicy', { Name: string, MaximumRetryCount: integer('int') });

export const hostConfig = struct('HostConfig', {
  Binds: strings,
  ContainerIDFile: string,
  LogConfig: struct('LogConfig', { Type: string, Config: stringMap }),
  NetworkMode: string,
  PortBindings: map(list(struct('PortBinding', { HostIp: string, HostPort: string }))),
  RestartPolicy: restartPolicy,
  AutoRemove: boolean,
  VolumeDriver: string,
  VolumesFrom: strings,
  ConsoleSize: list(integer('uint'), 2),
  Annotations: field(stringMap, { since: '1.43' }),
  CapAdd: stringListOrString,
  CapDrop: stringListOrString,
  Capabilities: field(strings, { retired: 'only engine 19.03 read it; use CapAdd and CapDrop' }),
  CgroupnsMode: field(string, { since: '1.41' }),
  Dns: strings,
  DnsOptions: strings,
  DnsSearch: strings,
  ExtraHosts: strings,
  GroupAdd: strings,
  IpcMode: string,
  Cgroup: string,
  Links: strings,
  OomScoreAdj: integer('int'),
  PidMode: string,
  Privileged: boolean,
  PublishAllPorts: boolean,
  ReadonlyRootfs: boolean,
  SecurityOpt: strings,
  StorageOpt: stringMap,
  Tmpfs: stringMap,
  UTSMode: string,
  UsernsMode: string,
  ShmSize: int64,
  Sysctls: stringMap,
  Runtime: string,
  Isolation: string,
  ...embed(resources),
  Mounts: list(mount),
  MaskedPaths: field(strings, { since: '1.38' }),
  ReadonlyPaths: field(strings, { since: '1.38' }),
  Init: boolean,
});

export const containerCreate = struct('CreateRequest', {
  ...embed(containerConfig),
  HostConfig: hostConfig,
  NetworkingConfig: networkingConfig,
  Cpuset: field(string, { retired: 'its meaning depends on the engine; use HostConfig.CpusetCpus' }),
});

export const containerUpdate = struct('UpdateConfig', { ...embed(resources), RestartPolicy: restartPolicy });

export const execCreate = struct('ExecOptions', {
  User: string,
  Privileged: boolean,
  Tty: boolean,
  ConsoleSize: field(list(integer('uint'), 2), { since: '1.42' }),
  AttachStdin: boolean,
  AttachStderr: boolean,
  AttachStdout: boolean,
  Detach: boolean,
  DetachKeys: string,
  Env: field(strings, { since: '1.25' }),
  WorkingDir: field(string, { since: '1.35' }),
  Cmd: strings,
});

export const execStart = struct('ExecStartOptions', {
  Detach: boolean,
  Tty: boolean,
  ConsoleSize: field(list(integer('uint'), 2), { since: '1.42' }),
});

export const checkpointCreate = struct('CreateOptions', {
  CheckpointID: string,
  CheckpointDir: string,
  Exit: boolean,
});
