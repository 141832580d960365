/**
 * What we read from the engine's answers: only the fields that we use, in every version of the API from 1.41 on.
 * Source: moby `api/types/**`.
 */
import { z } from 'zod';
import type { JsonObject } from './json.js';

/** Go writes a nil map or slice as null. */
const stringMap = z
  .record(z.string(), z.string())
  .nullish()
  .transform((value) => value ?? {});
const strings = z
  .array(z.string())
  .nullish()
  .transform((value) => value ?? []);
const text = z.string().optional().default('');

export const versionSchema = z.object({
  Version: z.string(),
  ApiVersion: z.string(),
  MinAPIVersion: text,
});
export type EngineVersion = z.infer<typeof versionSchema>;

export const infoSchema = z.object({
  ID: text,
  ServerVersion: text,
  Driver: text,
  DriverStatus: z
    .array(z.array(z.string()))
    .nullish()
    .transform((value) => value ?? []),
  DockerRootDir: z.string(),
  /** Absent on hosts without cgroups. */
  CgroupVersion: z.enum(['1', '2']).optional(),
  CgroupDriver: text,
  DefaultRuntime: text,
  Runtimes: z
    .record(z.string(), z.object({ path: z.string().optional() }))
    .nullish()
    .transform((value) => value ?? {}),
  SecurityOptions: strings,
  LiveRestoreEnabled: z.boolean().optional().default(false),
  Swarm: z
    .object({ LocalNodeState: text, ControlAvailable: z.boolean().optional().default(false) })
    .optional(),
});
export type EngineInfo = z.infer<typeof infoSchema>;

const mountPointSchema = z.object({
  Type: text,
  Name: text,
  Source: text,
  Destination: z.string(),
  Driver: text,
  Mode: text,
  RW: z.boolean(),
  Propagation: text,
});

export const containerInspectSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  Created: z.string(),
  /** Id of the image, not its name. */
  Image: z.string(),
  State: z.object({ Running: z.boolean(), Pid: z.number() }),
  Config: z.object({
    Image: text,
    Env: strings,
    User: text,
    Labels: stringMap,
  }),
  /** As the engine has it: what reclaim compares with a create request's. */
  HostConfig: z.looseObject({
    Runtime: text,
    NetworkMode: text,
    PidMode: text,
    IpcMode: text,
    UTSMode: text,
    UsernsMode: text,
    Privileged: z.boolean().optional().default(false),
  }),
  Mounts: z
    .array(mountPointSchema)
    .nullish()
    .transform((value) => value ?? []),
});
export type ContainerInspect = z.infer<typeof containerInspectSchema>;

export const containerListSchema = z.array(
  z.object({
    Id: z.string(),
    Names: strings,
    Image: text,
    ImageID: text,
    /** Seconds since the epoch. */
    Created: z.number(),
    State: text,
    Labels: stringMap,
  }),
);
export type ContainerSummary = z.infer<typeof containerListSchema>[number];

export const imageInspectSchema = z.object({
  Id: z.string(),
  RepoTags: strings,
  RepoDigests: strings,
  RootFS: z.object({ Layers: strings }).optional(),
  Config: z
    .object({
      Env: strings,
      User: text,
      WorkingDir: text,
      Volumes: z
        .record(z.string(), z.unknown())
        .nullish()
        .transform((value) => Object.keys(value ?? {})),
    })
    .nullish(),
});
export type ImageInspect = z.infer<typeof imageInspectSchema>;

export const imageListSchema = z.array(z.object({ Id: z.string(), RepoTags: strings, RepoDigests: strings }));
export type ImageSummary = z.infer<typeof imageListSchema>[number];

export const volumeInspectSchema = z.object({
  Name: z.string(),
  Driver: z.string(),
  Mountpoint: text,
  Options: stringMap,
  Scope: text,
});
export type VolumeInspect = z.infer<typeof volumeInspectSchema>;

export const networkInspectSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  Driver: z.string(),
  Scope: text,
  Options: stringMap,
});
export type NetworkInspect = z.infer<typeof networkInspectSchema>;

export const execInspectSchema = z.object({
  ID: z.string(),
  ContainerID: z.string(),
  Running: z.boolean(),
});
export type ExecInspect = z.infer<typeof execInspectSchema>;

/** What it answers with when it made a container or an exec. */
export const createdSchema = z.object({ Id: z.string().regex(/^[0-9a-f]{64}$/) });

/** An object as `parseGoJson` reads it: no number in it has lost a digit. */
const losslessObject = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);

export const serviceInspectSchema = z.object({
  ID: z.string(),
  Version: z.object({ Index: z.union([z.int(), z.bigint()]).transform(BigInt) }),
  /** What a rollback would bring back. */
  PreviousSpec: losslessObject.nullish(),
});
export type ServiceInspect = z.infer<typeof serviceInspectSchema>;

/** Docker's error body. */
export const messageSchema = z.object({ message: z.string() });

/** One event. Containers of swarm tasks and builds have them as well. */
export const eventSchema = z.object({
  Type: z.string(),
  Action: z.string(),
  Actor: z.object({
    ID: z.string(),
    Attributes: stringMap,
  }),
  /** Nanoseconds since the epoch, which a double holds to the microsecond. */
  timeNano: z.number(),
});
export type EngineEvent = z.infer<typeof eventSchema>;
