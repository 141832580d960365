/**
 * The records that proxy, allocator and runtime share through the ledger. Every one is parsed by its zod schema
 * when read: the ledger is a folder on disk, and the runtime believes nothing.
 */
import { z } from 'zod';

const id = z.number().int().min(0).max(0xffff_fffe);

/** Who made a request: the peer credentials of the client's connection (unix(7), SO_PEERCRED and SO_PEERGROUPS). */
export const callerSchema = z.object({
  uid: id,
  gid: id,
  pid: z.number().int().min(0),
  groups: z.array(id).readonly(),
  /** Full id of the container whose granted socket the request came through. */
  container: z.string().optional(),
  /**
   * Whose command lists hold for that container besides its own: entries of `perImage` for the containers that had it
   * made, an empty one for the general list.
   */
  bounds: z.array(z.string()).readonly().optional(),
});
export type Caller = Readonly<z.infer<typeof callerSchema>>;

/** An exclusive block of ids: container ids 0…size-1 are the host's base…base+size-1, uid and gid alike. */
export const rangeSchema = z.object({ base: id, size: z.number().int().positive() });
export type Range = Readonly<z.infer<typeof rangeSchema>>;

/** Where a caller's other ids live on disk: container id k is uid `uidBase + k` and gid `gidBase + k` there. */
export const subordinateSchema = z.object({ uidBase: id, gidBase: id, size: z.number().int().min(65536) });
export type Subordinate = Readonly<z.infer<typeof subordinateSchema>>;

/** A host path that the proxy approved for one container, with the inode it saw. */
export const approvedMountSchema = z.object({
  /** The resolved source on the host. */
  source: z.string(),
  /** Path inside the container. */
  destination: z.string(),
  /** `st_dev` and `st_ino` as decimal strings: a double can't hold them. */
  device: z.string(),
  inode: z.string(),
  readOnly: z.boolean(),
  /**
   * cofferdam's own socket for containers: a new file each time the daemon starts, in a folder that only root can
   * write, so that its inode says nothing.
   */
  ownSocket: z.boolean().optional(),
  /** `identity`: the container's whole range; `caller`: the caller's own ids (docs/identity.md). */
  mapping: z.enum(['identity', 'caller']),
  /** uid and gid on disk that stand for the container's user with `caller`. */
  ownerUid: id.optional(),
  ownerGid: id.optional(),
  /** The user inside the container that the owner stands for with `caller`; 0 where absent. */
  containerUid: id.optional(),
  containerGid: id.optional(),
  /** Where every other id of the container lands on disk with `caller`. */
  subordinate: subordinateSchema.optional(),
  /** Further gids on disk that keep their own number inside: project groups that the settings allow. */
  sharedGids: z.array(id).readonly().optional(),
});
export type ApprovedMount = Readonly<z.infer<typeof approvedMountSchema>>;

/** What a create request asked for before its binds were made mounts (see rules/pinned-binds.ts). */
export const askedBindsSchema = z.object({
  /** `HostConfig.Binds` as the client wrote it. */
  binds: z.array(z.string()).readonly(),
  /** How many of `HostConfig.Mounts` are the client's own: its are the first. */
  mounts: z.number().int().min(0),
});
export type AskedBinds = Readonly<z.infer<typeof askedBindsSchema>>;

/** A process, told apart from later ones with the same pid: start time in clock ticks (proc(5)), and the boot. */
export const processIdentitySchema = z.object({
  pid: z.number().int().positive(),
  startTime: z.string(),
  boot: z.string(),
});
export type ProcessIdentity = Readonly<z.infer<typeof processIdentitySchema>>;

/** One container: written before the client learns that it exists, kept until the engine destroys it. */
export const containerRecordSchema = z.object({
  version: z.literal(1),
  /** Full container id, 64 hex digits (BuildKit's are shorter). */
  id: z.string().min(1),
  range: rangeSchema,
  caller: callerSchema.optional(),
  mounts: z.array(approvedMountSchema).readonly(),
  asked: askedBindsSchema.optional(),
  socketGrant: z.boolean(),
  imageId: z.string().optional(),
  /** When the record was made, milliseconds since the epoch: the engine has had the container since before. */
  createdAt: z.number(),
  /** The token that the range's own file carries: a record whose range is another's is void. */
  token: z.string().min(1),
  /** The container lives only as long as this process does (a BuildKit step's runtime). */
  process: processIdentitySchema.optional(),
});
export type ContainerRecord = Readonly<z.infer<typeof containerRecordSchema>>;

/** What a create request tells of itself, so that its container is found again after a crash. */
export const intentRequestSchema = z.object({
  caller: callerSchema.optional(),
  /** The name that the client asked for, without a leading slash. */
  name: z.string().optional(),
  /** `Image` as the engine gets it. */
  image: z.string(),
  /** `createDigest` of the body as the engine gets it. */
  digest: z.string(),
  mounts: z.array(approvedMountSchema).readonly(),
  asked: askedBindsSchema.optional(),
  socketGrant: z.boolean(),
  imageId: z.string().optional(),
});
export type IntentRequest = Readonly<z.infer<typeof intentRequestSchema>>;

/** What a range was reserved for. Written before the range's own file, which is a second link to the same inode. */
export const reservationSchema = z.object({
  version: z.literal(1),
  token: z.string().min(1),
  range: rangeSchema,
  /** Who is at work on it: when that process is dead, `reclaim` decides. */
  process: processIdentitySchema,
  createdAt: z.number(),
  purpose: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('create'), request: intentRequestSchema }),
    z.object({ kind: z.literal('container'), id: z.string().min(1) }),
    z.object({ kind: z.literal('caller'), uid: id }),
  ]),
});
export type Reservation = Readonly<z.infer<typeof reservationSchema>>;

/** The range that a caller's files use for every id but its own; kept for good. */
export const callerRecordSchema = z.object({
  version: z.literal(1),
  uid: id,
  range: rangeSchema,
  token: z.string().min(1),
  createdAt: z.number(),
});
export type CallerRecord = Readonly<z.infer<typeof callerRecordSchema>>;
