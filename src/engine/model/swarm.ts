/** Bodies of swarm, node, secret and config endpoints. Source: moby `api/types/swarm`. */
import {
  boolean,
  bytes,
  duration,
  field,
  int64,
  integer,
  list,
  string,
  stringMap,
  strings,
  struct,
} from './field-types.js';

export const swarmDriver = struct('Driver', { Name: string, Options: stringMap });

const annotations = { Name: string, Labels: stringMap };

export const swarmSpec = struct('Spec', {
  ...annotations,
  Orchestration: struct('OrchestrationConfig', { TaskHistoryRetentionLimit: int64 }),
  Raft: struct('RaftConfig', {
    SnapshotInterval: integer('uint64'),
    KeepOldSnapshots: integer('uint64'),
    LogEntriesForSlowFollowers: integer('uint64'),
    ElectionTick: integer('int'),
    HeartbeatTick: integer('int'),
  }),
  Dispatcher: struct('DispatcherConfig', { HeartbeatPeriod: duration }),
  CAConfig: struct('CAConfig', {
    NodeCertExpiry: duration,
    ExternalCAs: list(
      struct('ExternalCA', {
        Protocol: string,
        URL: string,
        Options: stringMap,
        CACert: field(string, { since: '1.30' }),
      }),
    ),
    SigningCACert: field(string, { since: '1.30' }),
    SigningCAKey: field(string, { since: '1.30' }),
    ForceRotate: field(integer('uint64'), { since: '1.30' }),
  }),
  TaskDefaults: struct('TaskDefaults', { LogDriver: swarmDriver }),
  EncryptionConfig: struct('EncryptionConfig', { AutoLockManagers: boolean }),
});

export const swarmInit = struct('InitRequest', {
  ListenAddr: string,
  AdvertiseAddr: string,
  DataPathAddr: field(string, { since: '1.31' }),
  DataPathPort: field(integer('uint32'), { since: '1.40' }),
  ForceNewCluster: boolean,
  Spec: swarmSpec,
  AutoLockManagers: boolean,
  Availability: string,
  DefaultAddrPool: field(strings, { since: '1.39' }),
  SubnetSize: field(integer('uint32'), { since: '1.39' }),
});

export const swarmJoin = struct('JoinRequest', {
  ListenAddr: string,
  AdvertiseAddr: string,
  DataPathAddr: field(string, { since: '1.31' }),
  RemoteAddrs: strings,
  JoinToken: string,
  Availability: string,
});

export const swarmUnlock = struct('UnlockRequest', { UnlockKey: string });

export const nodeSpec = struct('NodeSpec', { ...annotations, Role: string, Availability: string });

export const secretSpec = struct('SecretSpec', {
  ...annotations,
  Data: bytes,
  Driver: field(swarmDriver, { since: '1.31' }),
  Templating: field(swarmDriver, { since: '1.37' }),
});

export const configSpec = struct('ConfigSpec', {
  ...annotations,
  Data: bytes,
  Templating: field(swarmDriver, { since: '1.37' }),
});
