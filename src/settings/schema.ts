/**
 * The only home of setting keys and defaults, together with operation-schema.ts (the daemon's own running) and
 * docker-desktop-keys.ts: Docker's admin-settings.json format, and ours on top of it.
 * The JSON Schema in config/ and docs/settings.md are generated from this file. It only describes: reading and
 * judging a file is load.ts's part. Every key needs a description, and a default that is safe when it is absent.
 * Source of Docker's keys: the settings reference of Docker Desktop's Settings Management.
 */
import { z } from 'zod';
import { auditSchema, metricsSchema, policySchema, shutdownSchema } from './operation-schema.js';

const locked = z
  .boolean()
  .default(false)
  .describe('Whether users and policy bundles are kept from changing this section.');

function mode(meaning: string) {
  return z.enum(['enforce', 'warn']).default('enforce').describe(`\`warn\`: ${meaning}`);
}
const listMode = mode(
  'what would be refused is allowed, and stands in the audit log with a warning; builds are not looked into.',
);

/** Rules that may warn: what they refuse weighs on the host, and makes nobody root. */
const harmlessRules = ['host-resources'] as const;
/** Rules that may warn for whoever accepts that they keep callers from becoming root, or another user. */
const protectingRules = [
  'administration',
  'log-drivers',
  'network-creation',
  'other-callers',
  'process-lists',
  'subnets',
] as const;

const text = z.string().min(1);

const commandListSchema = z
  .object({
    type: z
      .enum(['deny', 'allow'])
      .default('deny')
      .describe('`deny`: the listed commands are blocked. `allow`: only the listed ones work.'),
    commands: z
      .array(text)
      .readonly()
      .default([])
      .describe(
        'Names as in `docker --help`, and the groups `container*`, `image*`, `volume*`, `network*`, `build*`, `system*`.',
      ),
    mode: mode('a blocked command works, and stands in the audit log with a warning.'),
  })
  .readonly();
/** Which docker commands a container may use over a granted socket. */
export type CommandList = z.infer<typeof commandListSchema>;

const imageListSchema = z
  .object({
    images: z
      .array(text)
      .readonly()
      .default([])
      .describe(
        'References of images whose containers may mount the Docker socket: no tag means `latest`, `:*` any tag, `@sha256:…` one digest, globs work in the path, `*` alone is any image.',
      ),
    allowDerivedImages: z
      .boolean()
      .default(true)
      .describe('Whether local images that were built from a listed one are allowed as well.'),
  })
  .readonly();

const perImageSchema = z
  .object({
    image: text.describe('Reference of a listed image, in the forms of `imageList.images`.'),
    commandList: commandListSchema
      .prefault({})
      .describe('The command list that replaces the general one for containers of this image.'),
  })
  .readonly();

const dockerSocketMountSchema = z
  .object({
    imageList: imageListSchema.prefault({}).describe('Images that may mount the Docker socket.'),
    commandList: commandListSchema
      .prefault({})
      .describe('What containers with a granted socket may do with it.'),
    perImage: z.array(perImageSchema).readonly().default([]).describe('Command lists for single images.'),
  })
  .readonly();

const enhancedContainerIsolationSchema = z
  .object({
    value: z
      .boolean()
      .default(true)
      .describe('Whether containers run isolated, each in a user namespace with a range of ids of its own.'),
    locked,
    warn: z
      .array(z.enum(harmlessRules))
      .readonly()
      .default([])
      .describe(
        'Rules that warn instead of refusing: what they refuse weighs on the host, and makes nobody root. What they rewrite they go on rewriting.',
      ),
    warnAtRiskOfRoot: z
      .array(z.enum(protectingRules))
      .readonly()
      .default([])
      .describe(
        'Rules that warn instead of refusing, although what they refuse can make a caller root on the host or another user. Never for a container’s socket.',
      ),
    dockerSocketMount: dockerSocketMountSchema
      .prefault({})
      .describe('Which containers may mount the Docker socket, and what they may do with it.'),
  })
  .readonly();

export const registryEntrySchema = z
  .object({
    address: text.describe(
      'Host name with an optional port; `*.` at its beginning stands for any subdomain.',
    ),
    repositories: z
      .array(text)
      .readonly()
      .optional()
      .describe('Globs of repository paths; absent: every repository.'),
    allow: z
      .array(z.enum(['pull', 'push']))
      .readonly()
      .default(['pull', 'push'])
      .describe('What may be done there.'),
    description: z.string().optional().describe('For people; no meaning for the program.'),
  })
  .readonly();
/** One registry that pulls, pushes and builds may reach. */
export type RegistryEntry = z.infer<typeof registryEntrySchema>;

export const registryAccessSchema = z
  .object({
    value: z.boolean().default(false).describe('Whether only the listed registries can be reached.'),
    locked,
    mode: listMode,
    registries: z
      .array(registryEntrySchema)
      .readonly()
      .default([])
      .describe('Registries that pulls, pushes and builds may reach. An empty list allows none.'),
    localImages: z
      .boolean()
      .default(false)
      .describe(
        'Whether builds may start from images that are on this machine already, whatever registry their names say. A BuildKit build can make the engine ask such a registry after all: only `egress` keeps it from that.',
      ),
    urls: z
      .array(text)
      .readonly()
      .default([])
      .describe('Globs of other addresses that builds and imports may fetch from, such as Git repositories.'),
    egress: z
      .boolean()
      .default(false)
      .describe(
        'Whether the engine reaches registries through a proxy of the daemon only, which knows the listed ones and where they redirect to. `cofferdam setup` tells the engine of it; dockerd has to be restarted once.',
      ),
    egressPort: z.int().min(1).max(65_535).default(3129).describe('Port of that proxy on 127.0.0.1.'),
  })
  .readonly();
/** Which registries may be reached. */
export type RegistryAccess = z.infer<typeof registryAccessSchema>;

export const imageAccessSchema = z
  .object({
    value: z
      .boolean()
      .default(false)
      .describe('Whether only the listed kinds of Docker Hub images are allowed.'),
    locked,
    mode: listMode,
    allow: z
      .array(
        z
          .string()
          .regex(
            /^(officialImages|organizations:[^:]+|repositories:.+)$/,
            'must be `officialImages`, `organizations:NAME` or `repositories:REFERENCE`',
          ),
      )
      .readonly()
      .default(['officialImages'])
      .describe('`officialImages`, `organizations:NAME` and `repositories:REFERENCE`.'),
  })
  .readonly();
/** Which Docker Hub images may be used. */
export type ImageAccess = z.infer<typeof imageAccessSchema>;

const hostFilesSchema = z
  .object({
    locked,
    rootCallers: z
      .enum(['owner', 'identity', 'deny'])
      .default('owner')
      .describe(
        'Bind mounts of callers with uid 0. `owner`: with the rights of the owner of the source. `identity`: with the ids as they are on disk. `deny`: refused.',
      ),
    allow: z
      .array(text)
      .readonly()
      .default([])
      .describe('Absolute paths below /run that may be mounted all the same.'),
    deny: z.array(text).readonly().default([]).describe('Absolute paths that may never be mounted.'),
    groups: z
      .array(z.union([text, z.number().int().min(1)]))
      .readonly()
      .default([])
      .describe(
        'Supplementary groups, by name or number, that keep their number in bind mounts of folders that belong to them. Groups of the system are left out.',
      ),
    sharingMode: mode(
      'folders that `filesharingAllowedDirectories` leaves out may be mounted within the caller’s own reach, with a warning; everything else about host files is refused as ever.',
    ),
  })
  .readonly();

const sharedFolderSchema = z
  .object({
    path: text.describe(
      'An absolute folder; `$HOME` stands for the home of the caller, `$TMP` and `$TEMP` for /tmp.',
    ),
    sharedByDefault: z
      .boolean()
      .default(true)
      .describe('Of Docker Desktop’s user interface; no meaning here.'),
  })
  .readonly();
/** A folder that may be mounted, with everything below it. */
export type SharedFolder = z.infer<typeof sharedFolderSchema>;

const portBindingSchema = z
  .object({
    value: z
      .enum(['default-port-binding', 'default-local-port-binding', 'local-only-port-binding'])
      .default('default-port-binding')
      .describe(
        '`default-port-binding`: as the engine does. `default-local-port-binding`: on 127.0.0.1 where the client names no address. `local-only-port-binding`: on 127.0.0.1 whatever the client names.',
      ),
    locked,
    mode: mode('nothing is refused or put on 127.0.0.1; what would be is allowed as it is, with a warning.'),
  })
  .readonly();

const volumesSchema = z
  .object({
    locked,
    types: z
      .array(text)
      .readonly()
      .default(['tmpfs'])
      .describe('File system types that volumes of the `local` driver may mount by their options.'),
  })
  .readonly();

const deviceRequestsSchema = z
  .object({
    locked,
    allow: z
      .array(text)
      .readonly()
      .default([])
      .describe('Full names of CDI devices that containers may ask for, such as `nvidia.com/gpu=all`.'),
  })
  .readonly();

const uidRangesSchema = z
  .object({
    locked,
    first: z
      .number()
      .int()
      .min(100_000)
      .max(0xffff_fffe)
      .default(100_000)
      .describe('The first id that a container may get.'),
    last: z
      .number()
      .int()
      .min(165_535)
      .max(0xffff_fffe)
      .default(0xffff_fffe)
      .describe('The last id that a container may get.'),
  })
  .readonly();

export const settingsSchema = z
  .object({
    configurationFileVersion: z
      .number()
      .int()
      .min(1)
      .default(2)
      .describe("Version of Docker's file format. May be absent."),
    enhancedContainerIsolation: enhancedContainerIsolationSchema
      .prefault({})
      .describe('Isolation itself. Its lock covers everything in this section, and `existingContainers`.'),
    existingContainers: z
      .enum(['allow', 'warn', 'refuse'])
      .default('warn')
      .describe(
        'Starting, entering and changing containers that were made without isolation. `warn`: works, is noted in the audit log and in `cofferdam status`. `refuse`: refused until `cofferdam adopt` has made them isolated.',
      ),
    uidRanges: uidRangesSchema
      .prefault({})
      .describe(
        'The ids of the host that containers get, in blocks of 65536 that begin at 100000. Ids of users, groups, /etc/subuid and /etc/subgid are left out by themselves. Read when the daemon starts.',
      ),
    hostFiles: hostFilesSchema.prefault({}).describe('Bind mounts of host files and folders.'),
    filesharingAllowedDirectories: z
      .array(sharedFolderSchema)
      .readonly()
      .optional()
      .describe(
        'The only folders whose content may be mounted, each with everything below it; absent: every folder within the caller’s own reach. It counts with isolation off as well, and the lock of `hostFiles` covers it.',
      ),
    portBindingBehavior: portBindingSchema
      .prefault({})
      .describe('On which addresses of the host ports are published. It counts with isolation off as well.'),
    volumes: volumesSchema.prefault({}).describe('Volumes.'),
    deviceRequests: deviceRequestsSchema.prefault({}).describe('Devices that are described by CDI files.'),
    registryAccess: registryAccessSchema.prefault({}).describe('Which registries may be reached.'),
    imageAccess: imageAccessSchema.prefault({}).describe('Which Docker Hub images may be used.'),
    blockDockerLoad: z
      .object({
        value: z.boolean().default(false).describe('Whether `docker load` and `docker import` are refused.'),
        locked,
        mode: listMode,
      })
      .readonly()
      .prefault({})
      .describe('Images that come from files instead of registries.'),
    audit: auditSchema.prefault({}).describe('The audit log.'),
    policy: policySchema
      .prefault({})
      .describe('Settings from elsewhere, signed. They hold for every section that this file does not lock.'),
    metrics: metricsSchema.prefault({}).describe('Metrics and health checks for programs.'),
    shutdown: shutdownSchema.prefault({}).describe('How the daemon stops.'),
  })
  .readonly();

/** Complete settings: every key is there, defaults filled in. */
export type Settings = z.infer<typeof settingsSchema>;

/** What an empty object means: every default. */
export const defaultSettings: Settings = settingsSchema.parse({});
