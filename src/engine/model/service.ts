/** The body of service create and update. Source: moby `api/types/swarm/{service,task,container,network}.go`. */
import { healthConfig, ulimit } from './container.js';
import {
  boolean,
  bytes,
  duration,
  emptyStruct,
  field,
  float,
  int64,
  integer,
  list,
  string,
  stringMap,
  strings,
  struct,
} from './field-types.js';
import { mount } from './mount.js';
import { swarmDriver } from './swarm.js';

/** A secret or config as a file in the container. */
const fileTarget = struct('FileTarget', {
  Name: string,
  UID: string,
  GID: string,
  Mode: integer('uint32'),
});

const privileges = struct('Privileges', {
  CredentialSpec: struct('CredentialSpec', {
    Config: field(string, { since: '1.40' }),
    File: string,
    Registry: string,
  }),
  SELinuxContext: struct('SELinuxContext', {
    Disable: boolean,
    User: string,
    Role: string,
    Type: string,
    Level: string,
  }),
  Seccomp: field(struct('SeccompOpts', { Mode: string, Profile: bytes }), { since: '1.44' }),
  AppArmor: field(struct('AppArmorOpts', { Mode: string }), { since: '1.44' }),
  NoNewPrivileges: field(boolean, { since: '1.44' }),
});

const containerSpec = struct('ContainerSpec', {
  Image: string,
  Labels: stringMap,
  Command: strings,
  Args: strings,
  Hostname: string,
  Env: strings,
  Dir: string,
  User: string,
  Groups: strings,
  Privileges: privileges,
  Init: field(boolean, { since: '1.37' }),
  StopSignal: string,
  TTY: boolean,
  OpenStdin: boolean,
  ReadOnly: boolean,
  Mounts: list(mount),
  StopGracePeriod: duration,
  Healthcheck: healthConfig,
  Hosts: strings,
  DNSConfig: struct('DNSConfig', { Nameservers: strings, Search: strings, Options: strings }),
  Secrets: list(struct('SecretReference', { File: fileTarget, SecretID: string, SecretName: string })),
  Configs: field(
    list(
      struct('ConfigReference', {
        File: fileTarget,
        Runtime: emptyStruct,
        ConfigID: string,
        ConfigName: string,
      }),
    ),
    { since: '1.30' },
  ),
  Isolation: field(string, { since: '1.35' }),
  Sysctls: field(stringMap, { since: '1.40' }),
  CapabilityAdd: field(strings, { since: '1.41' }),
  CapabilityDrop: field(strings, { since: '1.41' }),
  Ulimits: field(list(ulimit), { since: '1.41' }),
  OomScoreAdj: field(int64, { since: '1.46' }),
});

/** Task templates of plugins: field names are lower case, from a protobuf definition. */
const pluginSpec = struct('PluginSpec', {
  name: string,
  remote: string,
  privileges: list(struct('PluginPrivilege', { name: string, description: string, value: strings })),
  disabled: boolean,
  env: strings,
});

const genericResources = list(
  struct('GenericResource', {
    NamedResourceSpec: struct('NamedGenericResource', { Kind: string, Value: string }),
    DiscreteResourceSpec: struct('DiscreteGenericResource', { Kind: string, Value: int64 }),
  }),
);

const resourceRequirements = struct('ResourceRequirements', {
  Limits: struct('Limit', {
    NanoCPUs: int64,
    MemoryBytes: int64,
    Pids: field(int64, { since: '1.41' }),
    GenericResources: field(genericResources, { retired: 'only reservations have generic resources' }),
  }),
  Reservations: struct('Resources', {
    NanoCPUs: int64,
    MemoryBytes: int64,
    GenericResources: field(genericResources, { since: '1.32' }),
  }),
  SwapBytes: field(int64, { since: '1.52' }),
  MemorySwappiness: field(int64, { since: '1.52' }),
});

const networks = list(
  struct('NetworkAttachmentConfig', {
    Target: string,
    Aliases: strings,
    DriverOpts: field(stringMap, { since: '1.32' }),
  }),
);

const taskSpec = struct('TaskSpec', {
  ContainerSpec: containerSpec,
  PluginSpec: field(pluginSpec, { since: '1.31' }),
  NetworkAttachmentSpec: field(struct('NetworkAttachmentSpec', { ContainerID: string }), { since: '1.32' }),
  Resources: resourceRequirements,
  RestartPolicy: struct('RestartPolicy', {
    Condition: string,
    Delay: duration,
    MaxAttempts: integer('uint64'),
    Window: duration,
  }),
  Placement: struct('Placement', {
    Constraints: strings,
    Preferences: list(
      struct('PlacementPreference', { Spread: struct('SpreadOver', { SpreadDescriptor: string }) }),
    ),
    MaxReplicas: field(integer('uint64'), { since: '1.40' }),
    Platforms: field(list(struct('Platform', { Architecture: string, OS: string })), { since: '1.30' }),
  }),
  Networks: networks,
  LogDriver: swarmDriver,
  ForceUpdate: integer('uint64'),
  Runtime: field(string, { since: '1.31' }),
});

const updateConfig = struct('UpdateConfig', {
  Parallelism: integer('uint64'),
  Delay: duration,
  FailureAction: string,
  Monitor: duration,
  MaxFailureRatio: float,
  Order: string,
});

export const serviceSpec = struct('ServiceSpec', {
  Name: string,
  Labels: stringMap,
  TaskTemplate: taskSpec,
  Mode: struct('ServiceMode', {
    Replicated: struct('ReplicatedService', { Replicas: integer('uint64') }),
    Global: emptyStruct,
    ReplicatedJob: field(
      struct('ReplicatedJob', { MaxConcurrent: integer('uint64'), TotalCompletions: integer('uint64') }),
      { since: '1.41' },
    ),
    GlobalJob: field(emptyStruct, { since: '1.41' }),
  }),
  UpdateConfig: updateConfig,
  RollbackConfig: updateConfig,
  Networks: networks,
  EndpointSpec: struct('EndpointSpec', {
    Mode: string,
    Ports: list(
      struct('PortConfig', {
        Name: string,
        Protocol: string,
        TargetPort: integer('uint32'),
        PublishedPort: integer('uint32'),
        PublishMode: string,
      }),
    ),
  }),
});
